//===- Handles.h - Owning handles of the C API ------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_HANDLES_H
#define QUERN_TOOLS_QUERN_HANDLES_H

#include "lib/Support/Status.h"
#include "runtime/include/quern/introspect.h"
#include "runtime/include/quern/quern.h"
#include "runtime/src/manifest_generated.h"
#include "tools/quern/Commands.h"

#include <memory>
#include <string>

namespace quern::cli {

struct CloseModule {
  void operator()(quern_module *module) const { quern_module_close(module); }
};
struct DestroySession {
  void operator()(quern_session *session) const {
    quern_session_destroy(session);
  }
};
struct CloseInspection {
  void operator()(quern_inspection *inspection) const {
    quern_inspect_close(inspection);
  }
};

using ModuleHandle = std::unique_ptr<quern_module, CloseModule>;
using SessionHandle = std::unique_ptr<quern_session, DestroySession>;
using InspectionHandle = std::unique_ptr<quern_inspection, CloseInspection>;

/// Opens a module file.
inline Expected<ModuleHandle> openModule(const std::string &path) {
  quern_module *module = nullptr;
  quern_error error = {};
  if (quern_module_open(path.c_str(), &module, &error))
    return Error(error.message);
  return Expected<ModuleHandle>(ModuleHandle(module));
}

/// The value of a provenance key in a module's manifest, or "".
inline std::string provenance(const quern_module *module, const char *key) {
  const auto *manifest =
      manifest::GetManifest(quern_module_manifest(module, nullptr));
  if (manifest->provenance())
    for (const manifest::Property *property : *manifest->provenance())
      if (property->key()->str() == key && property->value())
        return property->value()->str();
  return "";
}

/// An error on a module of a vision model, which takes no texts.
inline Error refuseImages(const quern_module *module, const std::string &path) {
  quern_description about;
  quern_module_describe(module, &about);
  if (!about.image.channels)
    return Error::success();
  return Error::make(path, ": found a vision model, expected a text model");
}

/// Creates a session; 0 threads means one per usable CPU. Warns where it does
/// not run where it was to run first.
inline Expected<SessionHandle>
createSession(quern_module *module, unsigned threads,
              quern_device device = QUERN_DEVICE_CPU) {
  quern_session *session = nullptr;
  quern_error error = {};
  if (quern_session_create_on(module, device, threads, &session, &error))
    return Error(error.message);
  if (const char *why = quern_session_device_note(session); *why) {
    bool onGpu = quern_session_device(session, nullptr) == QUERN_DEVICE_CUDA;
    warn(std::string(onGpu ? "portable kernels run: " : "the CPU runs it: ") +
         why);
  }
  return Expected<SessionHandle>(SessionHandle(session));
}

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_HANDLES_H
