//===- HuffmanCode.h - Bytes in fewer bytes ---------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_HUFFMANCODE_H
#define QUERN_COMPILER_EMIT_HUFFMANCODE_H

#include <string>
#include <string_view>

namespace quern {

/// The coded bytes (quern/huffman.h) that quern_expand_coded makes `bytes` of.
/// Of all codes with words of at most 12 bits it takes one that is best or,
/// where rare symbols would have longer words, nearly so.
std::string encodeHuffman(std::string_view bytes);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_HUFFMANCODE_H
