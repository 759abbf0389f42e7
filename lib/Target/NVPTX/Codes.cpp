//===- Codes.cpp - Neighbouring codes in memory ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Codes.h"

#include <algorithm>

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

llvm::StringRef storageName(Storage storage) {
  static const char *const names[] = {"u8", "u16", "f32"};
  return names[int(storage)];
}

Expected<Storage> parseStorage(StringRef name) {
  for (Storage storage : {Storage::U8, Storage::U16, Storage::F32})
    if (storageName(storage) == name)
      return storage;
  return Error::make("result: found '", printable(name.str()),
                     "', expected u8, u16 or f32");
}

int64_t storageBytes(Storage storage) {
  return storage == Storage::U8 ? 1 : storage == Storage::U16 ? 2 : 4;
}

/// Words of 4 bytes in accesses of up to 16.
static Values loadWords(DeviceBuilder &k, Value pointer, Type type,
                        int64_t count) {
  Values words;
  for (int64_t i = 0; i < count; i += 4)
    words.append(k.loadMany(k.at(pointer, k.c(i * 4)), type,
                            std::min<int64_t>(4, count - i)));
  return words;
}

Values loadCodes(DeviceBuilder &k, Value pointer, Storage storage,
                 int64_t count) {
  if (storage == Storage::F32)
    return loadWords(k, pointer, k.f32(), count);
  int64_t bytes = storageBytes(storage), perWord = 4 / bytes;
  Values codes;
  for (Value word : loadWords(k, pointer, k.i32(), count / perWord))
    for (int64_t j = 0; j != perWord; ++j)
      codes.push_back(k.bitAnd(k.shr(word, j * bytes * 8),
                               storage == Storage::U8 ? 0xff : 0xffff));
  return codes;
}

void storeCodes(DeviceBuilder &k, ArrayRef<Value> values, Value pointer,
                Storage storage) {
  int64_t bytes = storageBytes(storage), perWord = 4 / bytes;
  Values words;
  for (size_t i = 0; i < values.size(); i += size_t(perWord)) {
    Value word = values[i];
    for (int64_t j = 1; j != perWord; ++j)
      word = k.bitOr(word, k.shl(values[i + size_t(j)], j * bytes * 8));
    words.push_back(word);
  }
  for (size_t i = 0; i < words.size(); i += 4)
    k.storeMany(ArrayRef(words).slice(i, std::min<size_t>(4, words.size() - i)),
                k.at(pointer, k.c(int64_t(i) * 4)));
}

} // namespace quern::nvptx
