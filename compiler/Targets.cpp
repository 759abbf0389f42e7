//===- Targets.cpp - Which machines a module is for -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Targets.h"

#include "compiler/Emit/KernelJit.h"
#include "compiler/Tune/TuningTable.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;

Expected<Targets> quern::chooseTargets(const CompileRequest &request) {
  Targets result;
  std::vector<std::string> targets = request.targets;
  result.forGpus = llvm::is_contained(targets, "nvptx");
  llvm::erase(targets, "nvptx");
  if (targets.empty())
    targets = {"x86"};
  auto add = [&](Tier tier) {
    if (!llvm::is_contained(result.tiers, tier))
      result.tiers.push_back(tier);
  };
  // The tier without vectors is the whole module's reference, where it is
  // named: it may stand alone.
  add(llvm::is_contained(targets, "x86-scalar") ? Tier::Scalar : Tier::Sse2);
  std::string names;
  for (Tier tier : llvm::reverse(allTiers))
    names += ", x86-" + getTierName(tier).str();
  for (const std::string &target : targets) {
    bool all = target == "x86", host = target == "host", known = all || host;
    for (Tier tier : allTiers) {
      bool named = target == "x86-" + getTierName(tier).str();
      known |= named;
      if ((all && tier != Tier::Scalar) || named ||
          (host && tier == bestHostTier()))
        add(tier);
    }
    if (!known)
      return Error::make("target ", target,
                         ": found an unknown name, expected host, x86", names,
                         " or nvptx");
  }
  llvm::sort(result.tiers);
  return std::move(result);
}

Expected<ModuleTuning> quern::chooseTuning(const CompileRequest &request) {
  TuningTable table = TuningTable::shipped();
  std::string file = "the shipped tuning table";
  if (!request.tuning.empty()) {
    file = request.tuning;
    Expected<TuningTable> read = TuningTable::read(file);
    if (!read)
      return read.takeError();
    table = std::move(*read);
  }
  MachineKey host = hostKey(bestHostTier());
  const TunedMachine *machine = request.tunedFor.empty()
                                    ? table.choose(host)
                                    : table.find(request.tunedFor);
  if (!machine && !request.tunedFor.empty())
    return Error::make(file, ": found no machine ", request.tunedFor,
                       ", expected one of ", table.names());
  std::string line = "tuning: ";
  if (machine)
    line +=
        machine->tuning.machine + " of " + file +
        (request.tunedFor.empty() ? ", which this machine is like (" : " (") +
        machine->key.describe() + ")";
  else
    line += "default kernels: " + file + " has no machine like this one (" +
            host.describe() + ")";
  if (request.note)
    request.note(line);
  return machine ? machine->tuning : ModuleTuning();
}
