# Helpers shared by all folders.
#
#   quern_common_options(target)           warnings, sanitizers, roots on the include path
#   quern_plain_library(Name [LIBS ...] [EXCEPTIONS] [SOURCES ...])   no LLVM
#   quern_library(Name [LIBS ...] [DEPENDS ...] [EXCEPTIONS] [SOURCES ...])   MLIR
#   quern_test(Name LIBS ...)              GoogleTest binary of the folder's *Test.cpp
#
# Sources default to the folder's *.cpp.

if(QUERN_CCACHE)
  find_program(CCACHE_PROGRAM ccache)
  if(CCACHE_PROGRAM)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  endif()
endif()

find_program(QUERN_LLD NAMES ld.lld-22 ld.lld)
if(QUERN_LLD AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_link_options(-fuse-ld=lld)
endif()

if(QUERN_ASSERTIONS)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
endif()
# Sanitized code takes half as long to compile without optimization, which also
# leaves in what the sanitizers are to see.
set(_level -O2)
if(QUERN_SANITIZE)
  set(_level -O0)
endif()
string(REPLACE "-O3" "${_level}" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
string(REPLACE "-O3" "${_level}" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")

if(QUERN_SANITIZE)
  string(REPLACE ";" "," _san "${QUERN_SANITIZE}")
  add_compile_options(-fsanitize=${_san} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${_san})
endif()

# A fused multiply-add would break the numerics contract wherever a compiler
# could form one.
add_compile_options(-ffp-contract=off)

function(quern_common_options name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}
    ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/runtime/include)
  target_compile_options(${name} PRIVATE -Wall -Wextra
    -Wno-unused-parameter)
endfunction()

macro(_quern_sources)
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
endmacro()

function(quern_plain_library name)
  cmake_parse_arguments(A "EXCEPTIONS" "" "LIBS;SOURCES" ${ARGN})
  _quern_sources()
  add_library(${name} STATIC ${A_SOURCES})
  quern_common_options(${name})
  if(NOT A_EXCEPTIONS)
    target_compile_options(${name} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  endif()
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

function(quern_library name)
  cmake_parse_arguments(A "EXCEPTIONS" "" "DEPENDS;LIBS;SOURCES" ${ARGN})
  _quern_sources()
  add_library(${name} STATIC ${A_SOURCES})
  quern_common_options(${name})
  quern_use_mlir(${name} EXCEPTIONS ${A_EXCEPTIONS})
  add_dependencies(${name} QuernTableGen ${A_DEPENDS})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

# One GoogleTest binary from the folder's *Test.cpp. Registered with ctest.
# OPTIMIZE is for tests whose own definitions compute much.
function(quern_test name)
  cmake_parse_arguments(A "MLIR;EXCEPTIONS;OPTIMIZE" "" "LIBS;SOURCES" ${ARGN})
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS
      ${CMAKE_CURRENT_SOURCE_DIR}/*Test.cpp)
  endif()
  if(NOT A_SOURCES)
    return()
  endif()
  add_executable(${name} ${A_SOURCES})
  quern_common_options(${name})
  # What they test is optimized; they themselves compile four times as fast.
  if(QUERN_SANITIZE OR NOT A_OPTIMIZE)
    target_compile_options(${name} PRIVATE -O0)
  endif()
  if(A_MLIR)
    set(pch)
    if(TARGET QuernTestPch AND NOT A_OPTIMIZE)
      set(pch PCH QuernTestPch)
    endif()
    quern_use_mlir(${name} EXCEPTIONS ${A_EXCEPTIONS} ${pch})
    add_dependencies(${name} QuernTableGen)
  endif()
  target_link_libraries(${name} PRIVATE ${A_LIBS} GTest::gmock GTest::gtest_main)
  if(QUERN_SANITIZE MATCHES "address")
    target_sources(${name} PRIVATE
      ${PROJECT_SOURCE_DIR}/test/support/AddressSanitizer.cpp)
  endif()
  # The label is the folder under test/: runtime, lib, e2e, ...
  file(RELATIVE_PATH label ${PROJECT_SOURCE_DIR}/test
    ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "/.*" "" label "${label}")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 900 LABELS "${label}"
    # One variable only: gtest_discover_tests loses what follows a semicolon.
    ENVIRONMENT "QUERN_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
endfunction()

# Adds every direct subfolder that has a CMakeLists.txt, in name order.
macro(quern_add_subfolders)
  file(GLOB _lists CONFIGURE_DEPENDS LIST_DIRECTORIES false
    RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
    ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(_list ${_lists})
    get_filename_component(_dir ${_list} DIRECTORY)
    add_subdirectory(${_dir})
  endforeach()
endmacro()
