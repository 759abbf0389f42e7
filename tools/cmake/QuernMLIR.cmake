# Finds MLIR 22 and defines quern_use_mlir. Only libMLIR and libLLVM
# are linked, never the static archives: two copies of a TypeID break casts.
find_program(LLVM_CONFIG NAMES llvm-config-22 llvm-config)
if(LLVM_CONFIG AND NOT MLIR_DIR)
  execute_process(COMMAND ${LLVM_CONFIG} --prefix OUTPUT_VARIABLE _prefix
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(MLIR_DIR ${_prefix}/lib/cmake/mlir)
endif()
find_package(MLIR 22.1 REQUIRED CONFIG)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "Quern needs LLVM 22, found ${LLVM_PACKAGE_VERSION}")
endif()
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(QUERN_LLVM_DEFINITIONS UNIX_COMMAND "${LLVM_DEFINITIONS}")

# Everything that TableGen writes; each dialect and stage adds itself.
add_custom_target(QuernTableGen)

# mlir_tablegen for the current folder, added to QuernTableGen:
#   quern_tablegen(File.td Out.h.inc -gen-op-decls [Out2 -gen...])
function(quern_tablegen td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(args ${ARGN})
  list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND "-I" OUTPUT_VARIABLE includes)
  list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND "-I" OUTPUT_VARIABLE includes)
  # Collected in this scope by tablegen().
  while(args)
    list(POP_FRONT args out)
    set(flags "")
    while(args)
      list(GET args 0 next)
      if(NOT next MATCHES "^-")
        break()
      endif()
      list(POP_FRONT args flag)
      list(APPEND flags ${flag})
    endwhile()
    mlir_tablegen(${out} ${flags} -I${PROJECT_SOURCE_DIR} ${includes})
  endwhile()
  get_filename_component(stem ${td} NAME_WE)
  string(REPLACE "/" "_" where
    "${CMAKE_CURRENT_SOURCE_DIR}")
  string(MD5 where "${where}")
  string(SUBSTRING ${where} 0 6 where)
  add_custom_target(${stem}_${where}_IncGen DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(QuernTableGen ${stem}_${where}_IncGen)
endfunction()

# quern_use_mlir(name [EXCEPTIONS ON] [PCH target]): the target is the one whose
# precompiled header it takes, QuernPch unless given.
function(quern_use_mlir name)
  cmake_parse_arguments(U "" "EXCEPTIONS;PCH" "" ${ARGN})
  if(NOT U_PCH)
    set(U_PCH QuernPch)
  endif()
  target_include_directories(${name} SYSTEM PUBLIC
    ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_compile_definitions(${name} PRIVATE ${QUERN_LLVM_DEFINITIONS})
  if(NOT U_EXCEPTIONS)
    target_compile_options(${name} PRIVATE -fno-exceptions)
    if(QUERN_PCH AND NOT name STREQUAL U_PCH)
      target_precompile_headers(${name} REUSE_FROM ${U_PCH})
      # The header was compiled as position-independent library code.
      target_compile_options(${name} PRIVATE -fPIC)
    endif()
  endif()
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()

if(QUERN_PCH)
  add_library(QuernPch STATIC ${PROJECT_SOURCE_DIR}/tools/cmake/Pch.cpp)
  quern_common_options(QuernPch)
  quern_use_mlir(QuernPch)
  target_precompile_headers(QuernPch PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${PROJECT_SOURCE_DIR}/tools/cmake/Pch.h>")
endif()
