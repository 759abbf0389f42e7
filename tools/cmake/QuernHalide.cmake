# Builds runtime/kernels/halide, a project of its own, with the CMake and the
# Halide of the Python environment that tools/dev/setup.sh makes, and writes
# QUERN_LIBRARY_CODE, an assembly file with the libraries in it.
file(GLOB _halide
  ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/halide/lib*/cmake)
set(QUERN_HALIDE_PACKAGES "${_halide}" CACHE PATH
  "Folder with the CMake packages Halide and HalideHelpers")
find_program(QUERN_HALIDE_CMAKE cmake PATHS ${PROJECT_SOURCE_DIR}/.venv/bin
  NO_DEFAULT_PATH DOC "CMake 3.28 or newer")
if(NOT QUERN_HALIDE_PACKAGES OR NOT QUERN_HALIDE_CMAKE)
  message(FATAL_ERROR "Halide is missing: run tools/dev/setup.sh, which "
    "installs the packages of requirements.txt into .venv, or configure with "
    "-DQUERN_HALIDE=OFF; the tiers between
    scalar and avx512vnni are slower then, with the same results.")
endif()

enable_language(ASM)
set(_source ${PROJECT_SOURCE_DIR}/runtime/kernels/halide)
set(_build ${PROJECT_BINARY_DIR}/halide)
set(QUERN_LIBRARY_CODE ${PROJECT_BINARY_DIR}/quern-library-code.S)
set(_text "  .section .rodata,\"a\",@progbits\n")
set(_libraries)
foreach(tier sse41 avx2 avxvnni avx512bw)
  set(_library ${_build}/libquern_product_${tier}.a)
  list(APPEND _libraries ${_library})
  string(APPEND _text "  .globl quern_library_${tier}\n"
    "  .globl quern_library_${tier}_end\n"
    "quern_library_${tier}:\n  .incbin \"${_library}\"\n"
    "quern_library_${tier}_end:\n")
endforeach()
string(APPEND _text "  .section .note.GNU-stack,\"\",@progbits\n")

# The sanitizers of the project above are not for code without a run time.
add_custom_command(OUTPUT ${_libraries}
  COMMAND ${QUERN_HALIDE_CMAKE} -S ${_source} -B ${_build} -G Ninja
          -DCMAKE_BUILD_TYPE=Release
          -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}
          -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
          -DHalide_DIR=${QUERN_HALIDE_PACKAGES}/Halide
          -DHalideHelpers_DIR=${QUERN_HALIDE_PACKAGES}/HalideHelpers
  COMMAND ${QUERN_HALIDE_CMAKE} --build ${_build}
  DEPENDS ${_source}/CMakeLists.txt ${_source}/Product.cpp ${_source}/product.c
          ${_source}/byte_product.c ${_source}/pair_product.c
          ${_source}/word_product.c ${_source}/vectors.h
  VERBATIM COMMENT "Making kernels with Halide")
# The assembler's dependencies do not name what is included.
add_custom_command(OUTPUT ${QUERN_LIBRARY_CODE}
  COMMAND ${CMAKE_COMMAND} -E copy ${QUERN_LIBRARY_CODE}.in
          ${QUERN_LIBRARY_CODE}
  DEPENDS ${_libraries} ${QUERN_LIBRARY_CODE}.in VERBATIM)
file(CONFIGURE OUTPUT ${QUERN_LIBRARY_CODE}.in CONTENT "${_text}" @ONLY)
add_custom_target(QuernHalide DEPENDS ${QUERN_LIBRARY_CODE})
