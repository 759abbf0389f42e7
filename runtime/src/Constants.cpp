//===- Constants.cpp - where the constants of a module lie ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Constants.h. Sizes have been checked with the manifest; here only what
// the stored parts hold can be wrong.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Constants.h"

#include "quern/expand.h"
#include "quern/huffman.h"
#include "runtime/src/Cpu.h"
#include "runtime/src/HugePages.h"

#include <cinttypes>
#include <xmmintrin.h>

using namespace quern;
using namespace quern::manifest;

namespace {

/// Fewest bytes that are worth other threads.
constexpr uint64_t leastShared = 4u << 20;
constexpr uint32_t mostThreads = 8;

/// Bytes from one constant in our memory to the next: kernels read whole
/// vectors past an end.
uint64_t roomOf(const Data &data) {
  return roundUp(data.bytes() + QUERN_SLACK_BYTES, QUERN_DATA_ALIGN);
}

/// Marks the stored constants that kernels stream: matrices, not the tables
/// from which a run takes a few rows.
bool findMatrices(const Manifest &manifest, Array<bool> &isMatrix) {
  constexpr uint64_t least = 1u << 15;
  const auto &table = *manifest.data();
  if (!isMatrix.resize(table.size()))
    return false;
  for (const Step *step : *manifest.steps()) {
    if (!step->gemm_n() || !step->operands())
      continue;
    for (const Operand *operand : *step->operands()) {
      if (operand->kind() != OperandKind::Data)
        continue;
      const Data &data = *table.Get(operand->index());
      isMatrix[operand->index()] =
          data.making() == Making::Stored && data.bytes() >= least;
    }
  }
  return true;
}

} // namespace

/// A piece of work of opening.
struct Constants::Job {
  enum Kind { Check, Read, Make } kind;
  /// Of the constant.
  uint32_t index;
};

/// Does jobs, in any order, on several threads.
class Constants::Opening {
public:
  Opening(const char *path, const Manifest &manifest, const ModuleFile *file,
          const Constants &constants)
      : path(path), manifest(manifest), file(file), constants(constants) {}

  /// With so many threads; fewer if the system has no more.
  void start(uint32_t threads) { pool.start(threads); }
  bool add(Job job) { return jobs.push(job); }
  /// Does the jobs that were added, and forgets them.
  quern_status run(quern_error *error);

private:
  quern_status work(const Job &job, quern_error *error) const;

  const char *path;
  const Manifest &manifest;
  const ModuleFile *file;
  const Constants &constants;
  Array<Job> jobs;
  Pool pool;
  std::atomic<uint32_t> next{0};
  /// The first that failed.
  std::atomic<uint32_t> failed{UINT32_MAX};
};

quern_status Constants::Opening::run(quern_error *error) {
  next = 0;
  // A region has a chunk for each thread, which takes one job after the other:
  // the pool would hand out the long first one together with many others.
  auto region = [](void *context, int64_t begin, int64_t end, uint32_t) {
    auto &self = *static_cast<Opening *>(context);
    for (uint32_t i; begin < end && (i = self.next++) < self.jobs.size();) {
      if (self.work(self.jobs[i], nullptr) == QUERN_OK)
        continue;
      uint32_t seen = self.failed;
      while (i < seen && !self.failed.compare_exchange_weak(seen, i)) {
      }
    }
  };
  pool.begin();
  pool.run(region, this, pool.size(), 1);
  pool.end();
  // Once more, for its message.
  if (failed < jobs.size())
    return work(jobs[failed], error);
  jobs.clear();
  return QUERN_OK;
}

quern_status Constants::Opening::work(const Job &job,
                                      quern_error *error) const {
  // Who has memory of its own for matrices needs no more of the mapping than
  // the tables.
  bool drops = file && !constants.reason;
  if (job.kind == Job::Check)
    return file->checkWeights(path, drops, error);
  const auto &table = *manifest.data();
  const Data &data = *table.Get(job.index);
  char *to = const_cast<char *>(constants.places[job.index]);
  if (job.kind == Job::Make) {
    quern_status status = constants.make(path, manifest, data, to, error);
    if (drops && data.making() == Making::Coded) {
      const Data &coded = *table.Get(data.from()->Get(0));
      file->dropWeights(coded.offset(), coded.bytes());
    }
    return status;
  }
  if (file->readWeights(data.offset(), to, data.bytes()))
    return QUERN_OK;
  return fail(error, QUERN_ERROR_FILE, "%s: constant %s: cannot be read", path,
              data.name()->c_str());
}

/// Decides where each constant lies, and takes the memory.
quern_status Constants::place(const char *path, const Manifest &manifest,
                              const char *weights, bool isFile,
                              quern_error *error) {
  const char *setting = getenv("QUERN_WEIGHTS");
  if (!isWeightsSetting(setting))
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "QUERN_WEIGHTS: found \"%s\", expected huge or mapped",
                setting);
  const auto &table = *manifest.data();
  Array<bool> isRead;
  if (!places.resize(table.size()) || !findMatrices(manifest, isRead))
    return fail(error, QUERN_ERROR_MEMORY, "%s: out of memory", path);
  uint64_t read = 0;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const Data &data = *table.Get(i);
    made += data.making() == Making::Stored ? 0 : roomOf(data);
    read += isRead[i] ? roomOf(data) : 0;
  }
  char mode[32];
  readHugePageMode(mode);
  reason = isFile ? quern::whyMapped(setting, mode, made + read)
                  : "they are linked into the program";
  if (!reason && !memory.allocate(made + read))
    reason = "there is not enough memory";
  if (reason && made && !memory.allocate(made))
    return fail(error, QUERN_ERROR_MEMORY,
                "%s: out of memory for %" PRIu64 " bytes of constants", path,
                made);
  char *nextMade = memory.data(), *nextRead = nextMade + made;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const Data &data = *table.Get(i);
    bool isMade = data.making() != Making::Stored;
    char *&next = isMade ? nextMade : nextRead;
    if (!isMade && (reason || !isRead[i])) {
      places[i] = weights + data.offset();
      continue;
    }
    places[i] = next;
    next += roomOf(data);
  }
  return QUERN_OK;
}

quern_status Constants::open(const char *path, const Manifest &manifest,
                             const char *weights, const ModuleFile *file,
                             quern_error *error) {
  if (quern_status status = place(path, manifest, weights, file, error))
    return status;
  const auto &table = *manifest.data();
  Opening opening(path, manifest, file, *this);
  uint64_t bytes = memory.size();
  if (file)
    bytes += file->sectionBytes(QUERN_SECTION_WEIGHTS);
  if (bytes >= leastShared) {
    uint32_t cpus = usableCpuCount();
    opening.start(cpus < mostThreads ? cpus : mostThreads);
  }
  // The checksum takes longest, and nothing of it can be shared. Coded
  // constants are made before those that may be made of them.
  bool fits = !file || opening.add({Job::Check, 0});
  for (bool isFirst : {true, false}) {
    for (uint32_t i = 0; i < table.size(); ++i) {
      Making making = table.Get(i)->making();
      bool isRead = making == Making::Stored && places[i] >= memory.data() &&
                    places[i] < memory.data() + memory.size();
      if (isFirst && isRead)
        fits &= opening.add({Job::Read, i});
      if (making != Making::Stored && (making == Making::Coded) == isFirst)
        fits &= opening.add({Job::Make, i});
    }
    if (!fits)
      return fail(error, QUERN_ERROR_MEMORY, "%s: out of memory", path);
    if (quern_status status = opening.run(error))
      return status;
  }
  return QUERN_OK;
}

uint64_t Constants::hugeBytes() const {
  return quern::hugeBytes(memory.data(), memory.size());
}

quern_status Constants::make(const char *path, const Manifest &manifest,
                             const Data &data, char *to,
                             quern_error *error) const {
  const char *parts[2] = {};
  uint64_t counts[2] = {};
  for (uint32_t i = 0; i < data.from()->size(); ++i) {
    const Data &part = *manifest.data()->Get(data.from()->Get(i));
    parts[i] = places[data.from()->Get(i)];
    counts[i] = part.bytes() / elementBytes(part.element());
  }
  auto bytes = reinterpret_cast<const uint8_t *>(parts[0]);
  auto integers = reinterpret_cast<int32_t *>(to);
  switch (data.making()) {
  case Making::Stored:
    break;
  case Making::Widened:
    quern_expand_widened(reinterpret_cast<const int16_t *>(parts[0]), counts[0],
                         integers);
    break;
  case Making::Picked: {
    uint64_t done = quern_expand_picked(
        bytes, counts[0], reinterpret_cast<const uint32_t *>(parts[1]),
        counts[1], reinterpret_cast<uint32_t *>(to));
    if (done != counts[0])
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: constant %s: index of element %" PRIu64
                  ": found %u, expected below %" PRIu64,
                  path, data.name()->c_str(), done, bytes[done], counts[1]);
    break;
  }
  case Making::Marked:
    quern_expand_marked(bytes, counts[0], data.bytes() / counts[0],
                        reinterpret_cast<int8_t *>(to));
    break;
  case Making::Outer: {
    // A program built with -ffast-math may have set another rounding.
    unsigned rounding = _mm_getcsr();
    _mm_setcsr(plainRounding);
    quern_expand_outer(reinterpret_cast<const float *>(parts[0]), counts[0],
                       reinterpret_cast<const float *>(parts[1]), counts[1],
                       reinterpret_cast<float *>(to));
    _mm_setcsr(rounding);
    break;
  }
  case Making::Sums:
    quern_expand_sums(bytes, data.bytes() / (4 * QUERN_PANEL * counts[1]),
                      manifest.data()->Get(data.from()->Get(0))->bits(),
                      reinterpret_cast<const uint32_t *>(data.blocks()->data()),
                      reinterpret_cast<const int32_t *>(parts[1]), counts[1],
                      integers);
    break;
  case Making::Coded:
    if (!quern_expand_coded(bytes, counts[0], reinterpret_cast<uint8_t *>(to),
                            data.bytes()))
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: constant %s: its Huffman code is malformed", path,
                  data.name()->c_str());
    break;
  }
  return QUERN_OK;
}
