//===- AddressSanitizer.cpp - What tests ask of AddressSanitizer ----------===//

// libMLIR has no sanitizer: memory that our instances of its allocators
// poison, its own hand out again without releasing it.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0";
}
