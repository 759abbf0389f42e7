/*===- FakeCuda.c - a CUDA driver without a device ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Behaves as FAKE_CUDA says: "nodevice" and "unstarted" fail at cuInit, "mute"
// at a question, "busy" at the context, "full" at memory, "refuse" at text for
// sm_90a, "crash" at the end of a kernel; else there are an H100 and a T4
// ("swapped": the other way round; "old": two T4). Memory of the device is that
// of the program.
//
//===----------------------------------------------------------------------===*/
#include <stdlib.h>
#include <string.h>

static int is(const char *what) {
  const char *mode = getenv("FAKE_CUDA");
  return mode && strcmp(mode, what) == 0;
}

int cuInit(unsigned flags) {
  return flags ? 1 : is("nodevice") ? 100 : is("unstarted") ? 999 : 0;
}

int cuDriverGetVersion(int *version) {
  *version = 12040;
  return 0;
}

int cuGetErrorName(int result, const char **name) {
  *name = result == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_UNKNOWN";
  return result == 77 ? 1 : 0;
}

int cuGetErrorString(int result, const char **text) {
  *text = result == 2 ? "out of memory" : "unknown error";
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = 2;
  return 0;
}

int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal + 40;
  return 0;
}

static int isNew(int device) {
  return !is("old") && device == (is("swapped") ? 41 : 40);
}

int cuDeviceGetName(char *name, int size, int device) {
  strncpy(name, isNew(device) ? "Fake H100" : "Fake T4", (size_t)size);
  return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = (size_t)(isNew(device) ? 80 : 16) << 30;
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  int first = isNew(device);
  switch (attribute) {
  case 16:
    *value = first ? 132 : 40;
    return 0;
  case 36: /* kHz and bits of its memory; the T4's driver does not say */
    *value = 2619000;
    return !first;
  case 37:
    *value = 5120;
    return !first;
  case 75:
    *value = first ? 9 : 7;
    return is("mute") ? 999 : 0;
  case 76:
    *value = first ? 0 : 5;
    return 0;
  case 97:
    *value = first ? 232448 : 65536;
    return 0;
  default:
    return 1;
  }
}

/* One context, whose address says nothing, and one stream. Whoever works
   without it being current gets 201. */
static int retained, current, theContext, theStream;

int cuDevicePrimaryCtxRetain(void **context, int device) {
  if (is("busy"))
    return 999;
  retained += device >= 40;
  *context = &theContext;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
  retained -= device >= 40;
  return retained < 0;
}
int cuCtxPushCurrent_v2(void *context) {
  ++current;
  return context != &theContext;
}
int cuCtxPopCurrent_v2(void **context) {
  --current;
  *context = &theContext;
  return current < 0;
}

/* A module is its text. */
int cuModuleLoadDataEx(void **module, const void *image, unsigned count,
                       int *options, void **values) {
  const char *problem = "ptxas fatal: line 7\nthat is all\n";
  if (!current)
    return 201;
  if (!strstr(image, ".version") ||
      (is("refuse") && strstr(image, ".target sm_90a"))) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == 5)
        strcpy(values[i], problem);
    return 218;
  }
  *module = (void *)(size_t)image;
  return 0;
}
int cuModuleUnload(void *module) { return !current || !module; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = strstr(module, name);
  return *function ? 0 : 500;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
  return !function || attribute != 8 || value < 0;
}
int cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  /* A card of 1 GB. */
  void *memory = is("full") || bytes >> 30 ? 0 : malloc(bytes);
  *address = (unsigned long long)(size_t)memory;
  return !current ? 201 : memory ? 0 : 2;
}
int cuMemFree_v2(unsigned long long address) {
  free((void *)(size_t)address);
  return 0;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes,
                         void *stream) {
  (void)stream;
  memcpy((void *)(size_t)to, from, bytes);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes,
                         void *stream) {
  (void)stream;
  memcpy(to, (void *)(size_t)from, bytes);
  return 0;
}
int cuStreamCreate(void **stream, unsigned flags) {
  *stream = &theStream;
  return !current || flags != 1;
}
int cuStreamDestroy_v2(void *stream) { return stream != &theStream; }
int cuStreamSynchronize(void *stream) {
  return stream != &theStream ? 400 : is("crash") ? 700 : 0;
}
/* There, but of no use. */
int cuTensorMapEncodeTiled(void) { return 801; }
int cuLaunchKernelEx(void) { return 801; }
/* Not of the driver: contexts that are held, and pushed. */
int fakeCudaHeld(void) { return retained; }
int fakeCudaPushed(void) { return current; }
#ifndef FAKE_CUDA_OLD
int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY,
                   unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned sharedBytes, void *stream,
                   void **parameters, void **extra) {
  (void)sharedBytes, (void)stream, (void)extra;
  if (!function || gridX * gridY * gridZ == 0 ||
      blockX * blockY * blockZ > 1024)
    return 1;
  /* The kernel "count" adds one to an int. */
  int *place = *(int **)parameters[0];
  ++*place;
  return 0;
}
#endif
