# How rooms and tests are declared.

add_library(pomona_flags INTERFACE)
# No contraction: the same source gives the same bits in every room. The cpu kernels, which want fused multiply-add,
# turn it on for themselves.
target_compile_options(pomona_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla
  -ffp-contract=off -fno-math-errno
  $<$<BOOL:${PMN_WERROR}>:-Werror>)
if(PMN_SANITIZE)
  target_compile_options(pomona_flags INTERFACE -fsanitize=${PMN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(pomona_flags INTERFACE -fsanitize=${PMN_SANITIZE})
endif()

# pomona_room(NAME SOURCES ... [LIBRARIES public...] [PRIVATE private...])
# One room, target pmn_NAME. Its folder is on the include path of those who link it, and of nobody else: a room that is not
# linked cannot be included.
function(pomona_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LIBRARIES;PRIVATE" ${ARGN})
  add_library(pmn_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(pmn_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(pmn_${name} PUBLIC ${ROOM_LIBRARIES} PRIVATE pomona_flags ${ROOM_PRIVATE})
endfunction()

# pomona_test(NAME SOURCES ... LIBRARIES ...)
# One CMocka program, a CTest test of the same name; exit code 77 is a visible skip.
function(pomona_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
  target_compile_definitions(${name} PRIVATE PMN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} PkgConfig::CMOCKA pomona_flags)
  add_test(NAME ${name} COMMAND ${name})
  pomona_test_properties(${name})
endfunction()

# pomona_python_test(NAME COMMAND [ARGUMENT...])
# A test by other people's software, in Python with the packages of tests/*/requirements.txt; a visible skip without it.
function(pomona_python_test name)
  if(PMN_TEST_PYTHON)
    add_test(NAME ${name} COMMAND ${PMN_TEST_PYTHON} ${ARGN} COMMAND_EXPAND_LISTS)
  else()
    add_test(NAME ${name} COMMAND sh -c "echo 'skipped: PMN_TEST_PYTHON is not set'; exit 77")
  endif()
  pomona_test_properties(${name})
endfunction()

# A visible skip is exit code 77. Caches of kernels stay in the build folder; what OpenCL drivers leak is not ours.
function(pomona_test_properties name)
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800 ENVIRONMENT
    "XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache;LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0")
endfunction()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/cache)
