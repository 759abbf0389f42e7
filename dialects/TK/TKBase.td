//===- TKBase.td - The tk dialect, its enums and operand types ------------===//
//
// Kernel level: micro-ops on 512-bit vectors and 16-row tiles, which are all a
// target has to know, and the program that launches kernels over chunks.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TK_TKBASE
#define QUERN_DIALECTS_TK_TKBASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TK_Dialect : Dialect {
  let name = "tk";
  let cppNamespace = "::quern::tk";
  let summary = "Kernel micro-ops on vectors and tiles, and kernel programs";
  let description = [{
    A *kernel* is a `func.func` with the unit attribute `tk.kernel`. Its
    arguments are any number of buffers (1-D `memref<?xT>`, T one of i8, i16,
    i32, f32), then `tokens`, `sequences`, `flags`, `begin` and `end` (all
    `index`) and a scratch `memref<?xi8>`. It computes the chunks
    `[begin, end)`; chunks are independent of each other. Bit 0 of `flags`
    turns on the taps, buffers that only `quern verify` asks for.

    Inside, kernels use scf, arith, vector and memref, and the micro-ops of
    this dialect where a target has something better than plain vector code.
    Every micro-op has exactly one result for given operands on every target.

    A kernel with `tk.variant_of = @k` gives the same bytes as the kernel @k for
    the same arguments by other means, which `tk.variant` names: "library" for
    products of a library, "small" for register tiles that fit 16 vector
    registers, "tiles" for tile registers. A tier takes one of them.

    A *program* lists the launches of one inference over symbols: `tk.buffer`
    (activations) and `tk.data` (constants).
  }];
  let dependentDialects = [];
  let hasOperationAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Name of the unit attribute that makes a function a kernel.
    static constexpr llvm::StringLiteral getKernelAttrName() {
      return "tk.kernel";
    }
    /// Name of the attribute of a kernel that computes what another one does
    /// and stands in for it on tiers that have the means.
    static constexpr llvm::StringLiteral getVariantAttrName() {
      return "tk.variant_of";
    }
    /// Name of the attribute that says what means a variant needs.
    static constexpr llvm::StringLiteral getMeansAttrName() {
      return "tk.variant";
    }
    /// Name of the module attribute with the size of the arena: bytes per
    /// token, per sequence, and besides.
    static constexpr llvm::StringLiteral getArenaAttrName() {
      return "tk.arena";
    }
    /// Name of the module attribute with the scratch bytes of a thread.
    static constexpr llvm::StringLiteral getScratchAttrName() {
      return "tk.scratch_bytes";
    }
    /// Name of the module attribute with what a machine decides about products:
    /// a dictionary of the machine's name and a list of entries (see
    /// lib/Tile/ModuleTuning.h).
    static constexpr llvm::StringLiteral getTuningAttrName() {
      return "tk.tuning";
    }
    /// Arguments after the buffers: tokens, sequences, flags, begin, end,
    /// scratch.
    static constexpr unsigned kTrailingKernelArguments = 6;
  }];
}

class TK_I32Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::quern::tk";
  let genSpecializedAttr = 0;
}

def TK_BufferKind : TK_I32Enum<"BufferKind", "what a buffer is for", [
  I32EnumAttrCase<"Tokens", 0, "tokens">,
  I32EnumAttrCase<"Sequences", 1, "sequences">,
  I32EnumAttrCase<"Pairs", 2, "pairs">,
  I32EnumAttrCase<"Input", 3, "input">,
  I32EnumAttrCase<"Output", 4, "output">]>;
def TK_BufferKindAttr : EnumAttr<TK_Dialect, TK_BufferKind, "buffer_kind"> {
  let assemblyFormat = "`` $value";
}

def TK_Base : TK_I32Enum<"Base", "what chunk counts and sizes grow with", [
  I32EnumAttrCase<"Tokens", 0, "tokens">,
  I32EnumAttrCase<"Sequences", 1, "sequences">,
  I32EnumAttrCase<"One", 2, "one">]>;
def TK_BaseAttr : EnumAttr<TK_Dialect, TK_Base, "base"> {
  let assemblyFormat = "`` $value";
}

def TK_Lanes : FixedVectorOfShapeAndType<[16], I32>;
def TK_Floats : FixedVectorOfShapeAndType<[16], F32>;
def TK_Bytes : FixedVectorOfShapeAndType<[64], I8>;
def TK_ByteTile : FixedVectorOfShapeAndType<[16, 64], I8>;
def TK_LaneTile : FixedVectorOfShapeAndType<[16, 16], I32>;
def TK_ByteBuffer : MemRefRankOf<[I8], [1]>;
def TK_CodeBuffer : MemRefRankOf<[I8, I16], [1]>;

class TK_Op<string mnemonic, list<Trait> traits = []>
    : Op<TK_Dialect, mnemonic, traits>;

#endif // QUERN_DIALECTS_TK_TKBASE
