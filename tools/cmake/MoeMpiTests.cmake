# Test programs that run under mpirun, one ctest entry per world size; each runs all of its rows.
find_package(MPI REQUIRED COMPONENTS CXX)

# moe_mpi_test(<name> SOURCES <files> LINK <targets> RANKS <numbers> LABEL <label> [TIMEOUT <s>])
# Entries <name>_np<ranks>; never two at a time, so that ranks do not take each other's cores.
function(moe_mpi_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LINK;RANKS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cpp)
  target_link_libraries(${name} PRIVATE moe_flags ${ARG_LINK} moe_comm GTest::gtest GTest::gmock)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE MOE_MPI_TESTS MOE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    MOE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  foreach(ranks IN LISTS ARG_RANKS)
    # Open MPI leaks in plugins it unloads, which no suppression can name: thread ranks look for leaks.
    add_test(NAME ${name}_np${ranks}
      COMMAND ${MPIEXEC_EXECUTABLE} -np ${ranks} --oversubscribe --bind-to none $<TARGET_FILE:${name}>)
    set_tests_properties(${name}_np${ranks} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
      RESOURCE_LOCK mpirun PROCESSORS ${ranks}
      ENVIRONMENT
      "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_WAIT_POLICY=passive;ASAN_OPTIONS=detect_leaks=0")
  endforeach()
endfunction()
