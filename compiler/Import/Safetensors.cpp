//===- Safetensors.cpp - The safetensors file format ----------------------===//
//
// Header checks follow the format's own reference reader (no holes, no
// overlap, nothing after the last tensor); see Safetensors.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Safetensors.h"

#include "lib/Support/Json.h"

#include <algorithm>
#include <set>
#include <tuple>

using namespace quern;
using nlohmann::json;

/// The reference reader's limit; a BERT-base header has 23 KB.
static constexpr uint64_t maxHeaderBytes = 100000000;

/// Weights have at most four; a longer list is no shape.
static constexpr size_t maxDimensions = 16;

/// Bytes of one element, 0 for a type that the format does not know.
static size_t elementBytes(std::string_view dtype) {
  static constexpr std::pair<std::string_view, size_t> sizes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},     {"U32", 4},
      {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (auto [name, bytes] : sizes)
    if (name == dtype)
      return bytes;
  return 0;
}

int64_t SafetensorsTensor::elements() const {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

namespace {
/// The data area of one file while its header is being read.
struct DataArea {
  std::shared_ptr<const MappedFile> file;
  uint64_t start;
  uint64_t size;

  Error error(std::string_view name, const std::string &what) const {
    return Error::make(file->path(), ": tensor ", printable(name), ": ", what);
  }
};
} // namespace

/// Reads `"shape": [...]` and computes the bytes that it asks for.
static Error readShape(const DataArea &area, const std::string &name,
                       const json &entry, SafetensorsTensor &tensor) {
  auto shape = entry.find("shape");
  if (shape == entry.end() || !shape->is_array())
    return area.error(name, "found no shape, expected a list of integers");
  if (shape->size() > maxDimensions)
    return area.error(name, "found " + std::to_string(shape->size()) +
                                " dimensions, expected at most " +
                                std::to_string(maxDimensions));
  uint64_t bytes = elementBytes(tensor.dtype);
  // Without its zeros: the product of the others must have a value, too.
  int64_t nonZero = int64_t(bytes);
  for (const json &dim : *shape) {
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > uint64_t(INT64_MAX))
      return area.error(name, "found dimension " + describeJson(dim) +
                                  ", expected an integer of at least 0");
    uint64_t size = dim.get<uint64_t>();
    if (__builtin_mul_overflow(nonZero, std::max<uint64_t>(size, 1), &nonZero))
      return area.error(name, "found a shape whose bytes exceed 64 bits");
    bytes *= size;
    tensor.shape.push_back(static_cast<int64_t>(size));
  }
  tensor.bytes = bytes;
  return Error::success();
}

/// Reads `"data_offsets": [begin, end]` and compares it with shape and file.
static Error readOffsets(const DataArea &area, const std::string &name,
                         const json &entry, SafetensorsTensor &tensor) {
  auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned())
    return area.error(name, "found no data_offsets, expected two integers");
  uint64_t begin = (*offsets)[0].get<uint64_t>();
  uint64_t end = (*offsets)[1].get<uint64_t>();
  std::string range =
      "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
  if (begin > end)
    return area.error(name, "found data_offsets " + range +
                                ", expected them in ascending order");
  if (end > area.size)
    return area.error(name, "found data_offsets " + range +
                                ", expected them within the file's " +
                                std::to_string(area.size) + " bytes of data");
  if (end - begin != tensor.bytes)
    return area.error(
        name, "found " + std::to_string(end - begin) +
                  " bytes of data, expected " + std::to_string(tensor.bytes) +
                  " for " + tensor.dtype + " " + shapeToString(tensor.shape));
  tensor.data = area.file->data() + area.start + begin;
  tensor.file = area.file;
  return Error::success();
}

/// Reads one entry of the header.
static Expected<SafetensorsTensor>
readEntry(const DataArea &area, const std::string &name, const json &entry) {
  SafetensorsTensor tensor;
  if (!entry.is_object())
    return area.error(name,
                      "found " + describeJson(entry) + ", expected an object");
  auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string())
    return area.error(name, "found no dtype, expected one such as \"F32\"");
  tensor.dtype = dtype->get<std::string>();
  if (elementBytes(tensor.dtype) == 0)
    return area.error(name, "found dtype " + describeJson(*dtype) +
                                ", which the format does not know");
  if (Error error = readShape(area, name, entry, tensor))
    return error;
  if (Error error = readOffsets(area, name, entry, tensor))
    return error;
  return tensor;
}

/// Tensors must tile the data area: no overlap, no hole, nothing behind.
static Error checkTiling(const DataArea &area, const SafetensorsMap &tensors) {
  std::vector<const SafetensorsMap::value_type *> order;
  for (const auto &item : tensors)
    order.push_back(&item);
  std::sort(order.begin(), order.end(), [](auto *a, auto *b) {
    return std::tie(a->second.data, a->second.bytes, a->first) <
           std::tie(b->second.data, b->second.bytes, b->first);
  });
  const std::byte *base = area.file->data() + area.start;
  uint64_t next = 0;
  const std::string *previous = nullptr;
  for (auto *item : order) {
    uint64_t begin = static_cast<uint64_t>(item->second.data - base);
    if (begin < next)
      return area.error(item->first,
                        "found data that starts at byte " +
                            std::to_string(begin) + " and overlaps tensor " +
                            printable(*previous) + ", which ends at byte " +
                            std::to_string(next));
    if (begin > next)
      return area.error(item->first, "found data that starts at byte " +
                                         std::to_string(begin) +
                                         ", expected byte " +
                                         std::to_string(next) +
                                         ", where the tensor before it ends");
    next = begin + item->second.bytes;
    previous = &item->first;
  }
  if (next != area.size)
    return Error::make(area.file->path(), ": found ", area.size,
                       " bytes of data, expected ", next,
                       ", where the last tensor ends");
  return Error::success();
}

Expected<SafetensorsMap> quern::readSafetensors(const std::string &path) {
  auto mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.takeError();
  std::shared_ptr<const MappedFile> file = *mapped;
  uint64_t length = 0;
  if (file->size() < sizeof(length))
    return Error::make(path, ": found ", file->size(),
                       " bytes, expected a safetensors file (8 bytes of "
                       "header length, header, data)");
  for (int i = 0; i < 8; ++i)
    length |= std::to_integer<uint64_t>(file->data()[i]) << (8 * i);
  if (length > maxHeaderBytes)
    return Error::make(path, ": found a header length of ", length,
                       " bytes, expected at most ", maxHeaderBytes);
  if (length > file->size() - sizeof(length))
    return Error::make(path, ": found a header length of ", length,
                       " bytes, expected at most the ",
                       file->size() - sizeof(length),
                       " bytes that follow it (truncated file?)");
  // Names may hold any text but the structure is three levels deep.
  auto header = parseJson(file->text().substr(sizeof(length), length),
                          path + ": header", /*maxDepth=*/8);
  if (!header)
    return header.takeError();
  if (!header->is_object())
    return Error::make(path, ": header: found ", describeJson(*header),
                       ", expected an object");
  DataArea area{file, sizeof(length) + length,
                file->size() - sizeof(length) - length};
  SafetensorsMap tensors;
  for (const auto &[name, entry] : header->items()) {
    if (name == "__metadata__")
      continue;
    auto tensor = readEntry(area, name, entry);
    if (!tensor)
      return tensor.takeError();
    tensors.emplace(name, std::move(*tensor));
  }
  if (Error error = checkTiling(area, tensors))
    return error;
  return tensors;
}

/// A shard's name must stay within the folder of the index.
static bool isPlainFileName(const std::string &name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

Expected<SafetensorsMap> quern::readSafetensorsIndex(const std::string &path) {
  auto index = readJsonObject(path);
  if (!index)
    return index.takeError();
  auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object() || map->empty())
    return JsonObject(*index, path)
        .expected("weight_map", "an object of tensor and file names");
  std::set<std::string> shards;
  for (const auto &[name, shard] : map->items()) {
    if (!shard.is_string() || !isPlainFileName(shard.get<std::string>()))
      return Error::make(path, ": tensor ", printable(name), ": found shard ",
                         describeJson(shard),
                         ", expected the name of a file in the same folder");
    shards.insert(shard.get<std::string>());
  }
  size_t slash = path.rfind('/');
  std::string folder = slash == path.npos ? "" : path.substr(0, slash + 1);
  SafetensorsMap tensors;
  for (const std::string &shard : shards) {
    if (!fileExists(folder + shard))
      return Error::make(path, ": found no file ", printable(shard),
                         " in its folder, expected the shard that it names");
    auto part = readSafetensors(folder + shard);
    if (!part)
      return part.takeError();
    for (auto &[name, tensor] : *part) {
      auto [there, added] = tensors.emplace(name, tensor);
      if (!added)
        return Error::make(folder, shard, ": tensor ", printable(name),
                           ": found a second time, it is also in ",
                           there->second.file->path());
    }
  }
  for (const auto &[name, shard] : map->items()) {
    auto tensor = tensors.find(name);
    std::string expected = folder + shard.get<std::string>();
    if (tensor == tensors.end() || tensor->second.file->path() != expected)
      return Error::make(path, ": tensor ", printable(name), ": not found in ",
                         expected, ", where the index places it");
  }
  return tensors;
}

Error quern::writeSafetensors(const std::string &path,
                              const std::vector<SafetensorsOutput> &tensors) {
  json header = json::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const SafetensorsOutput &tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype},
        {"shape", tensor.shape},
        {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  // The format allows trailing spaces: they align the data for mapping.
  std::string text =
      header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  auto file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  char length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = static_cast<char>(uint64_t(text.size()) >> (8 * i));
  if (Error error = file->write(length, sizeof(length)))
    return error;
  if (Error error = file->write(text))
    return error;
  for (const SafetensorsOutput &tensor : tensors)
    if (Error error = file->write(tensor.data.data(), tensor.data.size()))
      return error;
  return file->commit();
}
