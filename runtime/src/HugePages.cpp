//===- HugePages.cpp - whether weights are read into huge pages -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See HugePages.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/HugePages.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

using namespace quern;

void quern::chosenWord(const char *line, char (&word)[32]) {
  strcpy(word, "unknown");
  const char *open = strchr(line, '[');
  const char *close = open ? strchr(open, ']') : nullptr;
  if (!close || size_t(close - open) >= sizeof(word))
    return;
  memcpy(word, open + 1, close - open - 1);
  word[close - open - 1] = '\0';
}

void quern::readHugePageMode(char (&mode)[32]) {
  char line[128] = {};
  FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (file) {
    size_t length = fread(line, 1, sizeof(line) - 1, file);
    line[length] = '\0';
    fclose(file);
  }
  chosenWord(line, mode);
}

bool quern::isWeightsSetting(const char *setting) {
  return !setting || !*setting || strcmp(setting, "mapped") == 0 ||
         strcmp(setting, "huge") == 0;
}

const char *quern::whyMapped(const char *setting, const char *mode,
                             uint64_t bytes) {
  if (setting && strcmp(setting, "mapped") == 0)
    return "QUERN_WEIGHTS=mapped";
  if (setting && strcmp(setting, "huge") == 0)
    return nullptr;
  if (bytes < leastHugeBytes)
    return "they are small";
  if (strcmp(mode, "never") == 0)
    return "the kernel's transparent huge pages are off";
  return nullptr;
}

uint64_t quern::hugeBytes(const void *at, uint64_t bytes) {
  FILE *file = fopen("/proc/self/smaps", "re");
  if (!file || bytes == 0) {
    if (file)
      fclose(file);
    return 0;
  }
  auto begin = reinterpret_cast<uint64_t>(at), end = begin + bytes;
  char line[512];
  uint64_t low = 0, high = 0, kilobytes = 0, huge = 0;
  bool isOurs = false;
  while (fgets(line, sizeof(line), file)) {
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &low, &high) == 2)
      isOurs = low < end && high > begin;
    else if (isOurs && sscanf(line, "AnonHugePages: %" SCNu64, &kilobytes) == 1)
      huge += kilobytes * 1024;
  }
  fclose(file);
  // A huge page may hold more than what was asked for.
  return huge < bytes ? huge : bytes;
}
