//===- Placement.cpp - Which CPUs a command's threads run on --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Placement.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sched.h>

namespace quern::cli {

Expected<std::vector<int>> parseCpus(const std::string &text) {
  auto bad = [&] {
    return Error::make("found '", printable(text), "', expected CPUs below ",
                       CPU_SETSIZE, " like 0-3,8");
  };
  std::vector<int> cpus;
  const char *at = text.data(), *end = at + text.size();
  auto number = [&](int &value) {
    auto [next, error] = std::from_chars(at, end, value);
    bool ok = error == std::errc() && value >= 0 && value < CPU_SETSIZE;
    at = next;
    return ok;
  };
  while (true) {
    int first, last;
    if (!number(first))
      return bad();
    last = first;
    if (at != end && *at == '-' && (++at, !number(last) || last < first))
      return bad();
    for (int cpu = first; cpu <= last; ++cpu)
      if (std::find(cpus.begin(), cpus.end(), cpu) == cpus.end())
        cpus.push_back(cpu);
    if (at == end)
      return Expected<std::vector<int>>(std::move(cpus));
    if (*at++ != ',')
      return bad();
  }
}

void Placement::addOptions(CLI::App &command) {
  CLI::Option *cpus = command.add_option(
      "--cpus", list,
      "CPUs to run on, a thread on each in this order, as 0-3,8 (all, threads "
      "unbound)");
  // Such as a variable that is not set.
  cpus->check([](const std::string &text) {
    return text.empty() ? "found '', expected CPUs like 0-3,8" : "";
  });
  command
      .add_option("--numa", node,
                  "Run on the CPUs of this NUMA node, with weights and buffers "
                  "in its memory")
      ->check(CLI::NonNegativeNumber)
      ->excludes(cpus);
}

/// The first line of a file of /sys, whose sizes say nothing; "" for none.
static std::string lineOf(const std::string &path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

/// The CPUs of a node, as the kernel lists them.
static Expected<std::vector<int>> cpusOfNode(int node) {
  const std::string folder = "/sys/devices/system/node/";
  std::string list =
      lineOf(folder + "node" + std::to_string(node) + "/cpulist");
  if (!list.empty())
    return parseCpus(list);
  // Nodes may have memory only; "has_cpu" lists the others.
  std::string nodes = lineOf(folder + "has_cpu");
  return Error::make("--numa: found node ", node, ", expected ",
                     nodes.empty() ? "a machine that tells its nodes"
                                   : "one of " + nodes);
}

/// Lets the calling thread, and those that it makes, run on these CPUs only.
static bool keepTo(const std::vector<int> &cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus)
    CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

Error Placement::take() {
  if (list.empty() && node < 0)
    return Error::success();
  Expected<std::vector<int>> found =
      node >= 0 ? cpusOfNode(node) : parseCpus(list);
  if (!found)
    return node >= 0 ? found.takeError()
                     : Error::make("--cpus: ", found.message());
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0)
    return Error("--cpus: this machine does not tell which CPUs can be used");
  for (int cpu : *found) {
    if (CPU_ISSET(cpu, &usable))
      cpus.push_back(cpu);
    else if (node < 0)
      return Error::make("--cpus: found CPU ", cpu,
                         ", expected one that this process may use");
  }
  if (cpus.empty() || !keepTo(cpus))
    return Error::make("--numa: found no CPU of node ", node,
                       " that this process may use");
  return Error::success();
}

Error Placement::bind(quern_session *session) const {
  if (cpus.empty())
    return Error::success();
  uint32_t threads = quern_session_threads(session);
  if (threads > cpus.size())
    return Error::make("--threads: found ", threads, " threads for ",
                       cpus.size(), " CPUs, expected one for each at most");
  quern_error error = {};
  if (quern_session_set_affinity(session, cpus.data(), threads, &error))
    return Error(error.message);
  return Error::success();
}

void Placement::release() const {
  if (!cpus.empty())
    (void)keepTo(cpus);
}

} // namespace quern::cli
