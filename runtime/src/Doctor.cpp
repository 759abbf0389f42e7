//===- Doctor.cpp - the report of `quern doctor` --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// CPU features as cpuid and the operating system give them, which tiers will
// run, and why others will not; then what a CUDA driver says, if there is one.
// As text or as one JSON object.
//
//===----------------------------------------------------------------------===//

#include "quern/introspect.h"
#include "runtime/src/Cpu.h"
#include "runtime/src/HugePages.h"
#include "runtime/src/cuda/Driver.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace quern;

namespace {

/// Appends to a buffer of fixed size and counts what the whole would take.
class Writer {
public:
  Writer(char *to, size_t room) : buffer(to), size(to ? room : 0) {
    if (size)
      buffer[0] = '\0';
  }

  __attribute__((format(printf, 2, 3))) void print(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = length < size ? size - length : 0;
    int written =
        vsnprintf(room ? buffer + length : nullptr, room, format, arguments);
    va_end(arguments);
    length += written > 0 ? size_t(written) : 0;
  }

  /// A JSON string. cpuid's texts are ASCII; anything else becomes '?'.
  void quote(const char *text) {
    print("\"");
    for (; *text; ++text) {
      if (*text == '"' || *text == '\\')
        print("\\%c", *text);
      else
        print("%c", *text >= 32 && *text < 127 ? *text : '?');
    }
    print("\"");
  }

  size_t total() const { return length; }

private:
  char *buffer;
  size_t size;
  size_t length = 0;
};

constexpr uint32_t reportedTiers[] = {
    QUERN_TIER_SCALAR,     QUERN_TIER_SSE2,    QUERN_TIER_SSE41,
    QUERN_TIER_AVX2,       QUERN_TIER_AVXVNNI, QUERN_TIER_AVX512BW,
    QUERN_TIER_AVX512VNNI, QUERN_TIER_AMX};

/// The CUDA driver and its devices, or why there are none.
void reportCuda(Writer &out, bool json) {
  cuda::Driver driver;
  quern_error error = {};
  if (driver.load(&error)) {
    if (!json)
      return out.print("cuda        %s\n", error.message);
    out.print("\"cuda\": {\"driver\": null, \"reason\": ");
    out.quote(error.message);
    return out.print(", \"devices\": []}, ");
  }
  int major = driver.version() / 1000, minor = driver.version() % 1000 / 10;
  if (json)
    out.print("\"cuda\": {\"driver\": \"%d.%d\", \"devices\": [", major, minor);
  else
    out.print("cuda        driver for %d.%d\n", major, minor);
  for (int i = 0; i < driver.deviceCount(); ++i) {
    cuda::DeviceInfo info;
    bool known = !driver.describe(i, info, &error);
    const char *reason = error.message, *variant = nullptr;
    if (known)
      variant = driver.variantFor(info, &reason);
    double gib = known ? double(info.memory) / (1 << 30) : 0;
    if (json) {
      out.print("%s{\"name\": ", i ? ", " : "");
      out.quote(known ? info.name : "");
      out.print(", \"capability\": \"%d.%d\", \"multiprocessors\": %d, "
                "\"memory_gib\": %.1f, ",
                info.major, info.minor, info.multiprocessors, gib);
      if (variant) {
        out.print("\"variant\": \"%s\"}", variant);
      } else {
        out.print("\"reason\": ");
        out.quote(reason);
        out.print("}");
      }
      continue;
    }
    if (known)
      out.print("  device %-4d %s, compute capability %d.%d, "
                "%d multiprocessors, %.1f GiB\n",
                i, info.name, info.major, info.minor, info.multiprocessors,
                gib);
    if (variant)
      out.print("              would take %s kernels\n", variant);
    else
      out.print("  device %-4d no: %s\n", i, reason);
  }
  if (json)
    out.print("]}, ");
}

} // namespace

size_t quern_doctor(int json, char *buffer, size_t size) {
  CpuInfo cpu = queryCpu();
  const char *cap = getenv("QUERN_MAX_ISA");
  char hugePages[32];
  readHugePageMode(hugePages);
  const char *weights = getenv("QUERN_WEIGHTS");
  bool isKnown = isWeightsSetting(weights);
  const char *mapped = whyMapped(weights, hugePages, UINT64_MAX);
  uint32_t best = QUERN_TIER_SCALAR;
  for (uint32_t tier : reportedTiers)
    if (quern_tier_usable(tier, nullptr))
      best = tier;

  Writer out(buffer, size);
  if (json) {
    out.print("{\"version\": \"%s\", \"abi\": %u, \"file_version\": %u, ",
              quern_version(), QUERN_ABI_VERSION, QUERN_FILE_VERSION);
    out.print("\"cpu\": {\"vendor\": ");
    out.quote(cpu.vendor);
    out.print(", \"name\": ");
    out.quote(cpu.brand);
    out.print(", \"usable\": %u, \"features\": {", usableCpuCount());
    for (uint32_t i = 0; i < FeatureCount; ++i)
      out.print("%s\"%s\": %s", i ? ", " : "", featureName(i),
                cpu.features >> i & 1 ? "true" : "false");
    out.print("}}, \"huge_pages\": \"%s\", \"weights\": ", hugePages);
    out.print(!isKnown ? "null" : mapped ? "\"mapped\"" : "\"huge\"");
    out.print(", \"max_isa\": ");
    if (cap)
      out.quote(cap);
    else
      out.print("null");
    out.print(", ");
    reportCuda(out, true);
    out.print("\"best_tier\": \"%s\", \"tiers\": [", quern_tier_name(best));
    bool first = true;
    for (uint32_t tier : reportedTiers) {
      const char *why;
      bool usable = quern_tier_usable(tier, &why);
      out.print("%s{\"name\": \"%s\", \"usable\": %s", first ? "" : ", ",
                quern_tier_name(tier), usable ? "true" : "false");
      if (why) {
        out.print(", \"reason\": ");
        out.quote(why);
      }
      out.print("}");
      first = false;
    }
    out.print("]}\n");
    return out.total();
  }

  out.print("quern %s (module ABI %u, file version %u)\n", quern_version(),
            QUERN_ABI_VERSION, QUERN_FILE_VERSION);
  out.print("cpu         %s, %s (names may be wrong in virtual machines)\n",
            cpu.vendor, cpu.brand);
  out.print("usable      %u CPU%s\n", usableCpuCount(),
            usableCpuCount() == 1 ? "" : "s");
  out.print("has        ");
  for (uint32_t i = 0; i < FeatureCount; ++i)
    if (cpu.features >> i & 1)
      out.print(" %s", featureName(i));
  out.print("\nlacks      ");
  for (uint32_t i = 0; i < FeatureCount; ++i)
    if (!(cpu.features >> i & 1))
      out.print(" %s", featureName(i));
  out.print("\nhuge pages  %s\n", hugePages);
  if (!isKnown)
    out.print("weights     QUERN_WEIGHTS: found \"%s\", expected huge or "
              "mapped\n",
              weights);
  else if (mapped)
    out.print("weights     stay in the mapped file: %s\n", mapped);
  else
    out.print("weights     of 4 MB and more are read into huge pages\n");
  if (cap)
    out.print("QUERN_MAX_ISA=%s\n", cap);
  out.print("tiers\n");
  for (uint32_t tier : reportedTiers) {
    const char *why;
    if (quern_tier_usable(tier, &why))
      out.print("  %-11s yes%s\n", quern_tier_name(tier),
                tier == best ? ", the best here" : "");
    else
      out.print("  %-11s no: %s\n", quern_tier_name(tier), why);
  }
  reportCuda(out, false);
  return out.total();
}
