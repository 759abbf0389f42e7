//===- TuningTable.cpp - What was found best, by machine ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/TuningTable.h"

#include "compiler/Emit/Assemble.h"
#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include "llvm/ADT/STLExtras.h"

#include <cassert>

using nlohmann::json;

namespace quern {

static constexpr char kShipped[] =
#include "compiler/Tune/Shipped.inc"
    ;

/// Entries of a table, and features of a machine: more is a mistake.
static constexpr size_t kMostEntries = 4096;

namespace {

/// Reads the values of one file; errors name the place.
class TableReader {
public:
  explicit TableReader(std::string file) : file(std::move(file)) {}

  Expected<TuningTable> read(const json &root) {
    TuningTable table;
    if (Error error = checkKeys(root, "", {"version", "machines"}))
      return std::move(error);
    const json *list = nullptr;
    int64_t version = 0;
    if (Error error = integer(root, "", "version", {1, 1}, version))
      return std::move(error);
    if (Error error = array(root, "", "machines", list))
      return std::move(error);
    for (size_t i = 0; i < list->size(); ++i) {
      Expected<TunedMachine> machine =
          readMachine((*list)[i], place("machines", i));
      if (!machine)
        return machine.takeError();
      if (table.find(machine->tuning.machine))
        return expected(place("machines", i) + ".name",
                        "\"" + machine->tuning.machine + "\" again",
                        "a name for each machine");
      table.machines.push_back(std::move(*machine));
    }
    return Expected<TuningTable>(std::move(table));
  }

private:
  struct Range {
    int64_t low, high, step = 1;
  };

  Error expected(const std::string &where, const std::string &found,
                 const std::string &wanted) const {
    return Error::make(file, ": ", where, ": found ", found, ", expected ",
                       wanted);
  }
  static std::string place(const std::string &name, size_t i) {
    return name + "[" + std::to_string(i) + "]";
  }
  static std::string join(const std::string &where, const std::string &key) {
    return where.empty() ? key : where + "." + key;
  }
  static std::string found(const json &object, const std::string &key) {
    return object.contains(key) ? describeJson(object[key]) : "nothing";
  }

  /// An object with no other keys.
  Error checkKeys(const json &value, const std::string &where,
                  const std::vector<std::string> &known) const {
    if (!value.is_object())
      return expected(where.empty() ? "the file" : where, describeJson(value),
                      "an object");
    std::string names;
    for (const std::string &name : known)
      names += (names.empty() ? "" : ", ") + name;
    for (const auto &[key, unused] : value.items())
      if (!llvm::is_contained(known, key))
        return expected(join(where, key), "an unknown key", "one of " + names);
    return Error::success();
  }

  Error integer(const json &object, const std::string &where, const char *key,
                Range range, int64_t &value) const {
    if (object.contains(key) && object[key].is_number_integer()) {
      const json &number = object[key];
      bool isHuge = number.is_number_unsigned() &&
                    number.get<uint64_t>() > uint64_t(INT64_MAX);
      int64_t read = isHuge ? -1 : number.get<int64_t>();
      if (read >= range.low && read <= range.high && read % range.step == 0) {
        value = read;
        return Error::success();
      }
    }
    const TuningField field = {key, nullptr, range.low, range.high, range.step};
    return expected(join(where, key), found(object, key), expectedOf(field));
  }

  Error array(const json &object, const std::string &where, const char *key,
              const json *&value) const {
    if (!object.contains(key) || !object[key].is_array() ||
        object[key].size() > kMostEntries)
      return expected(join(where, key), found(object, key),
                      "an array of at most " + std::to_string(kMostEntries));
    value = &object[key];
    return Error::success();
  }

  Error text(const json &object, const std::string &where, const char *key,
             bool required, std::string &value) const {
    if (!object.contains(key) && !required)
      return Error::success();
    bool isText = object.contains(key) && object[key].is_string();
    if (isText)
      value = object[key].get<std::string>();
    // It goes into reports and onto terminals.
    bool isPlain = llvm::all_of(
        value, [](char c) { return static_cast<unsigned char>(c) >= ' '; });
    if (!isText || (required && value.empty()) || value.size() > 1000 ||
        !isPlain)
      return expected(join(where, key), found(object, key),
                      "a string of one line");
    return Error::success();
  }

  Expected<TunedMachine> readMachine(const json &value,
                                     const std::string &where) const {
    TunedMachine machine;
    const json *features = nullptr, *gemm = nullptr;
    if (Error error = checkKeys(
            value, where, {"name", "measured", "features", "caches", "gemm"}))
      return std::move(error);
    if (Error error = text(value, where, "name", true, machine.tuning.machine))
      return std::move(error);
    if (Error error = text(value, where, "measured", false, machine.measured))
      return std::move(error);
    if (Error error = array(value, where, "features", features))
      return std::move(error);
    for (size_t i = 0; i < features->size(); ++i)
      if (Error error = addFeature(
              (*features)[i], place(join(where, "features"), i), machine.key))
        return std::move(error);
    if (Error error = readCaches(value, where, machine.key))
      return std::move(error);
    if (Error error = array(value, where, "gemm", gemm))
      return std::move(error);
    for (size_t i = 0; i < gemm->size(); ++i) {
      std::string at = place(join(where, "gemm"), i);
      Expected<TunedGemm> entry = readGemm((*gemm)[i], at);
      if (!entry)
        return entry.takeError();
      for (const TunedGemm &other : machine.tuning.gemm)
        if (other.hasShapeOf(*entry))
          return expected(at, "a shape again", "an entry for each shape");
      machine.tuning.gemm.push_back(std::move(*entry));
    }
    return Expected<TunedMachine>(std::move(machine));
  }

  Error addFeature(const json &value, const std::string &where,
                   MachineKey &key) const {
    std::string known;
    for (Tier tier : allTiers)
      if (!isPlain(tier))
        known += (known.empty() ? "" : ", ") + getTierName(tier).str();
    std::optional<Tier> tier;
    if (value.is_string())
      tier = parseTier(value.get<std::string>());
    if (!tier || isPlain(*tier))
      return expected(where, describeJson(value), "one of " + known);
    // In order, so that the lists of two machines can be compared.
    if (!key.features.empty() && *parseTier(key.features.back()) >= *tier)
      return expected(where, describeJson(value),
                      "the features once each and in the order " + known);
    key.features.push_back(getTierName(*tier).str());
    return Error::success();
  }

  Error readCaches(const json &value, const std::string &machine,
                   MachineKey &key) const {
    std::string where = join(machine, "caches");
    if (!value.contains("caches"))
      return expected(where, "nothing", "an object");
    const json &caches = value["caches"];
    if (Error error = checkKeys(caches, where, {"l1d", "l2", "l3"}))
      return error;
    const Range bytes = {0, int64_t(1) << 40};
    if (Error error = integer(caches, where, "l1d", bytes, key.l1d))
      return error;
    if (Error error = integer(caches, where, "l2", bytes, key.l2))
      return error;
    return integer(caches, where, "l3", bytes, key.l3);
  }

  Expected<TunedGemm> readGemm(const json &value,
                               const std::string &where) const {
    TunedGemm entry;
    std::vector<std::string> known = {"k", "n", "bits", "input", "why"};
    for (const TuningField &field : tuningFields())
      known.push_back(field.name);
    if (Error error = checkKeys(value, where, known))
      return std::move(error);
    const Range width = {1, 1 << 24};
    if (Error error = integer(value, where, "k", width, entry.k))
      return std::move(error);
    if (Error error = integer(value, where, "n", width, entry.n))
      return std::move(error);
    if (Error error = integer(value, where, "bits", {2, 8, 2}, entry.bits))
      return std::move(error);
    if (entry.bits == 6)
      return expected(join(where, "bits"), "6", "2, 4 or 8");
    if (value.contains("input")) {
      const json &name = value["input"];
      std::optional<TunedInput> input =
          name.is_string() ? parseTunedInput(name.get<std::string>())
                           : std::nullopt;
      if (!input)
        return expected(join(where, "input"), describeJson(name),
                        "codes, groups or planes");
      entry.input = *input;
    }
    for (const TuningField &field : tuningFields())
      if (value.contains(field.name))
        if (Error error = integer(value, where, field.name,
                                  {field.low, field.high, field.step},
                                  entry.tuning.*field.member))
          return std::move(error);
    if (!fitsRegisters(entry.tuning, entry.input))
      return expected(join(where, "rows"),
                      std::to_string(entry.tuning.rows) + " beside " +
                          std::to_string(entry.tuning.panels) + " panels",
                      "a tile that fits 32 registers");
    if (Error error = text(value, where, "why", false, entry.why))
      return std::move(error);
    return Expected<TunedGemm>(std::move(entry));
  }

  std::string file;
};

} // namespace

Expected<TuningTable> TuningTable::parse(std::string_view text,
                                         const std::string &file) {
  Expected<json> root = parseJson(text, file, /*maxDepth=*/8);
  if (!root)
    return root.takeError();
  return TableReader(file).read(*root);
}

Expected<TuningTable> TuningTable::read(const std::string &path) {
  Expected<std::string> text = readFile(path);
  if (!text)
    return text.takeError();
  return parse(*text, path);
}

TuningTable TuningTable::shipped() {
  Expected<TuningTable> table = parse(kShipped, "the shipped tuning table");
  assert(table && "a test reads it");
  return std::move(*table);
}

std::string TuningTable::toJson() const {
  auto quoted = [](const std::string &text) {
    return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string out = "{\"version\": 1,\n \"machines\": [";
  const char *next = "\n";
  for (const TunedMachine &machine : machines) {
    json features = machine.key.features;
    json caches = {{"l1d", machine.key.l1d},
                   {"l2", machine.key.l2},
                   {"l3", machine.key.l3}};
    out += std::string(next) + "  {\"name\": " + quoted(machine.tuning.machine);
    if (!machine.measured.empty())
      out += ",\n   \"measured\": " + quoted(machine.measured);
    out += ",\n   \"features\": " + features.dump() +
           ",\n   \"caches\": " + caches.dump() + ",\n   \"gemm\": [";
    // All numbers: a default may change, what was measured does not.
    const char *following = "\n";
    for (const TunedGemm &entry : machine.tuning.gemm) {
      out += std::string(following) + "    {\"k\": " + std::to_string(entry.k) +
             ", \"n\": " + std::to_string(entry.n) +
             ", \"bits\": " + std::to_string(entry.bits);
      if (entry.input != TunedInput::Codes)
        out += ", \"input\": \"" + tunedInputName(entry.input).str() + "\"";
      for (const TuningField &field : tuningFields())
        out += std::string(", \"") + field.name +
               "\": " + std::to_string(entry.tuning.*field.member);
      if (!entry.why.empty())
        out += ",\n     \"why\": " + quoted(entry.why);
      out += "}";
      following = ",\n";
    }
    out += "]}";
    next = ",\n";
  }
  return out + "]}\n";
}

const TunedMachine *TuningTable::choose(const MachineKey &key) const {
  const TunedMachine *best = nullptr;
  double least = 0;
  for (const TunedMachine &machine : machines) {
    std::optional<double> far = distance(machine.key, key);
    if (!far || (best && *far >= least))
      continue;
    best = &machine;
    least = *far;
  }
  return best;
}

const TunedMachine *TuningTable::find(const std::string &name) const {
  for (const TunedMachine &machine : machines)
    if (machine.tuning.machine == name)
      return &machine;
  return nullptr;
}

std::string TuningTable::names() const {
  std::string text;
  for (const TunedMachine &machine : machines)
    text += (text.empty() ? "" : ", ") + machine.tuning.machine;
  return text.empty() ? "none" : text;
}

void TuningTable::put(TunedMachine machine) {
  for (TunedMachine &other : machines)
    if (other.tuning.machine == machine.tuning.machine) {
      auto isKept = [&](const TunedGemm &old) {
        return llvm::none_of(machine.tuning.gemm, [&](const TunedGemm &entry) {
          return old.hasShapeOf(entry);
        });
      };
      if (other.key == machine.key)
        for (const TunedGemm &old : other.tuning.gemm)
          if (isKept(old))
            machine.tuning.gemm.push_back(old);
      other = std::move(machine);
      return;
    }
  machines.push_back(std::move(machine));
}

} // namespace quern
