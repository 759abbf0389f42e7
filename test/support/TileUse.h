//===- TileUse.h - What assembly does with tile registers -----------------===//
//
// A kernel with tiles is only fast if they are configured once and stay in
// their registers.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TILEUSE_H
#define QUERN_TEST_SUPPORT_TILEUSE_H

#include "llvm/ADT/StringExtras.h"

namespace quern {

struct TileUse {
  int64_t dots = 0, configurations = 0, spills = 0;
};

/// Counts instructions of the text.
inline TileUse countTileUse(llvm::StringRef assembly) {
  TileUse use;
  for (llvm::StringRef line : llvm::split(assembly, '\n')) {
    use.dots += line.contains("tdpbusd");
    use.configurations += line.contains("ldtilecfg");
    use.spills += (line.contains("tilestored") || line.contains("tileloadd")) &&
                  line.contains("(%rsp");
  }
  return use;
}

} // namespace quern

#endif // QUERN_TEST_SUPPORT_TILEUSE_H
