# SPDX-License-Identifier: Apache-2.0
# The few build words every folder uses: mt_module, mt_test, mt_fuzz.

set(MT_SANITIZE "" CACHE STRING "sanitizers, e.g. address,undefined or thread")
option(MT_FUZZ "build libFuzzer targets (clang); otherwise their replay programs" OFF)

find_program(MT_CCACHE ccache)
if(MT_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${MT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MT_CCACHE})
endif()

set(MT_C_FLAGS
    -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wvla -Wformat=2 -Wundef -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wswitch-enum -fno-common -fvisibility=hidden)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND MT_C_FLAGS -Wjump-misses-init)
endif()
set(MT_CXX_FLAGS -Wall -Wextra -Werror -Wshadow -fvisibility=hidden)
set(MT_HARDEN_FLAGS -fstack-protector-strong -fstack-clash-protection)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # clang 14 wants a second flag to allow it
  list(APPEND MT_HARDEN_FLAGS -ftrivial-auto-var-init=zero)
endif()

if(MT_SANITIZE)
  add_compile_options(-fsanitize=${MT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MT_SANITIZE})
else()
  if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    add_compile_definitions(_FORTIFY_SOURCE=2)
  endif()
endif()
if(MT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now)
add_compile_definitions(_GNU_SOURCE)

function(mt_flags target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:C>:${MT_C_FLAGS};${MT_HARDEN_FLAGS}>
    $<$<COMPILE_LANGUAGE:CXX>:${MT_CXX_FLAGS}>)
endfunction()

# mt_module(NAME SOURCES a.c ... [DEPS base wire ...] [LIBS uv ...])
# One static library mt_NAME. Its include path holds its own headers and those of the modules it
# names in DEPS, nothing else: an include the law of ARCHITECTURE.md forbids is "No such file".
# LIBS are third-party targets: the module that names one is that library's only door.
function(mt_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(mt_${name} STATIC ${M_SOURCES})
  mt_flags(mt_${name})
  target_include_directories(mt_${name} PUBLIC include PRIVATE .)
  foreach(dep ${M_DEPS})
    target_link_libraries(mt_${name} PRIVATE mt_${dep})
  endforeach()
  target_link_libraries(mt_${name} PRIVATE ${M_LIBS})
endfunction()

# mt_test(NAME SOURCES test_x.c [DEPS ...] [LIBS ...] [LABEL unit] [TIMEOUT 60])
# Its labels are its kind and its folder: `ctest -L unit`, `ctest -L '/net$'`.
function(mt_test name)
  cmake_parse_arguments(M "" "LABEL;TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
  if(MT_FUZZ)
    return()
  endif()
  if(NOT M_LABEL)
    set(M_LABEL unit)
  endif()
  if(NOT M_TIMEOUT)
    set(M_TIMEOUT 120)
  endif()
  add_executable(${name} ${M_SOURCES})
  mt_flags(${name})
  target_include_directories(${name} PRIVATE . .. ${CMAKE_SOURCE_DIR}/tests)
  foreach(dep ${M_DEPS})
    target_link_libraries(${name} PRIVATE mt_${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE ${M_LIBS} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE MT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             MT_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${M_LABEL};./${folder}" TIMEOUT ${M_TIMEOUT})
endfunction()

# mt_fuzz(NAME SOURCES fuzz_x.c CORPUS dir [DEPS ...] [LIBS ...])
# With MT_FUZZ a libFuzzer program; otherwise a program that replays the corpus as a test.
function(mt_fuzz name)
  cmake_parse_arguments(M "" "CORPUS" "SOURCES;DEPS;LIBS" ${ARGN})
  if(MT_FUZZ)
    add_executable(${name} ${M_SOURCES})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${M_SOURCES} ${CMAKE_SOURCE_DIR}/fuzz/replay.c)
    add_test(NAME ${name} COMMAND ${name} ${M_CORPUS})
    set_tests_properties(${name} PROPERTIES LABELS fuzz-replay TIMEOUT 120)
  endif()
  mt_flags(${name})
  foreach(dep ${M_DEPS})
    target_link_libraries(${name} PRIVATE mt_${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE ${M_LIBS})
endfunction()
