//===- ProgramBuilder.h - Buffers, constants and launches -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Writes the tk program of a module: declares buffers and constants, makes
// each kernel once however many layers launch it, follows the lifetimes of
// buffers and, at the end, plans the arena. What the ops of the graph become
// is said in TileInteger.cpp and TileFloat.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_PROGRAMBUILDER_H
#define QUERN_LIB_TILE_PROGRAMBUILDER_H

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/Constants.h"
#include "lib/Tile/Gemm.h"
#include "lib/Tile/KernelBuilder.h"
#include "lib/Tile/KernelNotes.h"
#include "lib/Tile/Norm.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#include <string>
#include <vector>

namespace quern {

/// Where the rows of a value lie: columns [column, column + d) of a buffer
/// whose rows are `stride` elements apart.
struct Place {
  std::string buffer;
  int64_t d = 0, stride = 0, column = 0;
  Storage storage = Storage::F32;
  RowsOf rows = RowsOf::Tokens;
};

/// A quantizer site that a launch produces, and the buffer (or tap) that holds
/// it afterwards.
struct SiteAt {
  std::string name;
  std::string buffer;
  int64_t column = 0, columns = 0;
  /// Bytes from the start of a row to its own scale and zero point; 0: none.
  int64_t range = 0;
};

/// How many chunks a launch has: ceil(base / divide) * multiply.
struct Chunks {
  tk::Base base = tk::Base::Tokens;
  int64_t divide = 1, multiply = 1;
};

/// What a launch is, for people and tools.
struct LaunchInfo {
  std::string step, op;
  int64_t layer = -1;
  std::vector<SiteAt> sites;
  int64_t gemmN = 0, gemmK = 0;
  int64_t macsPerToken = 0, macsPerPair = 0, macsPerSequence = 0;
};

/// The layer of a site name ("L3.x" is 3, "E.z" and "P" are -1).
int64_t layerOfSite(llvm::StringRef site);
/// The recipe key of a site name ("L3.x" is x, "E.t" is e, "E.z" is emb).
std::string keyOfSite(llvm::StringRef site);

/// Builds the program into `module`, which keeps its other contents.
class ProgramBuilder {
public:
  explicit ProgramBuilder(mlir::ModuleOp module);

  mlir::ModuleOp module() { return root; }
  mlir::MLIRContext *context() { return root.getContext(); }

  /// Declares an activation of `d` columns and gives its place.
  Place buffer(llvm::StringRef name, int64_t d, Storage storage,
               RowsOf rows = RowsOf::Tokens);
  /// Declares the program's result.
  Place output(int64_t d, RowsOf rows);
  /// Declares an input ("ids", "types", "positions", "offsets").
  std::string input(llvm::StringRef role);
  /// Declares the input of rows of `d` numbers, a patch of an image each.
  Place patches(int64_t d);
  /// Says that an input is a site: the next launch shows it.
  void showInput(SiteAt site) { shownInputs.push_back(std::move(site)); }
  /// Declares a tap of rows.
  Place tap(llvm::StringRef site, int64_t d, Storage storage,
            RowsOf rows = RowsOf::Tokens);
  /// Declares a tap of scores for each of `heads`: of all pairs of tokens, or
  /// of each token and the first one of its sequence.
  Place scoreTap(llvm::StringRef site, int64_t heads, Storage storage,
                 bool firstQuery);

  /// Declares a constant; gives its symbol. `parameters` of the model are in
  /// it, `bits` each (0 for vectors of the machine).
  template <typename T>
  std::string data(llvm::StringRef name, std::vector<T> values, int bits = 0,
                   int64_t parameters = 0, llvm::StringRef scheme = "");
  /// Declares a constant that stays where it is.
  std::string data(llvm::StringRef name, mlir::ElementsAttr value, int bits,
                   int64_t parameters, llvm::StringRef scheme = "");
  /// A vector constant padded with zeros to `size` elements.
  std::string vector(llvm::StringRef name, llvm::ArrayRef<float> values,
                     int64_t size);

  /// Says that constant `data` may be column sums of packed `weights`, for each
  /// group of steps of four k times a factor: a module need not hold it then.
  void mayBeSums(llvm::StringRef data, llvm::StringRef weights,
                 llvm::ArrayRef<int32_t> factors,
                 llvm::ArrayRef<int64_t> steps);
  /// Says that constant `data` may have in each row the products of a factor
  /// and of a vector.
  void mayBeProducts(llvm::StringRef data, llvm::ArrayRef<float> factors);
  /// Says that constant `data`, of rows of `columns` bytes, may have one 1 in
  /// every column and zeros.
  void mayBeMarks(llvm::StringRef data, int64_t columns);

  /// The kernel `name`, made by `make` if this is its first use.
  std::string
  kernel(const std::string &name,
         llvm::function_ref<mlir::func::FuncOp(llvm::StringRef)> make,
         int64_t scratchBytes = 0);

  /// Says of a kernel what it is and why it is no better one.
  void explain(llvm::StringRef kernel, const KernelNotes &notes);

  /// Appends a launch. Operands are symbols of buffers and data, in order.
  void launch(const std::string &kernel, llvm::ArrayRef<std::string> operands,
              const Chunks &chunks, const LaunchInfo &info);

  /// Plans the arena and writes the module's attributes. Call once, last.
  void finish();

private:
  struct Lifetime {
    int64_t first = -1, last = -1;
  };
  tk::BufferOp declare(llvm::StringRef name, tk::BufferKind kind,
                       std::optional<tk::Base> unit, int64_t stride, int64_t d,
                       Storage storage);
  std::string unique(llvm::StringRef name);
  void say(llvm::StringRef data, llvm::StringRef name, mlir::Attribute value);

  mlir::ModuleOp root;
  mlir::OpBuilder builder; ///< At the end of the program.
  tk::ProgramOp program;
  llvm::MapVector<mlir::StringAttr, std::pair<tk::BufferOp, Lifetime>> arena;
  llvm::StringMap<unsigned> names;
  std::vector<SiteAt> shownInputs;
  int64_t steps = 0, scratch = 0;
};

/// A number in a kernel's name.
inline std::string num(int64_t value) { return std::to_string(value); }
/// The parts of a kernel's name, with underscores between.
std::string joinName(std::initializer_list<std::string> parts);

/// Chunks of the kernels that work row by row.
Chunks rowChunks(RowsOf rows);

/// Chunks of a matrix product.
Chunks gemmChunks(const GemmShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_PROGRAMBUILDER_H
