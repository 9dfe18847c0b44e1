# moe_header_checks(): every header compiles alone, and twice. One small translation unit a header,
# without optimisation; sanitized builds skip it, they compile the same text.
function(moe_header_checks)
  if(MOE_SANITIZE)
    return()
  endif()
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.h ${PROJECT_SOURCE_DIR}/kernels/*.h)
  foreach(header IN LISTS headers)
    cmake_path(RELATIVE_PATH header BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE relative)
    string(REGEX REPLACE "^src/" "" target ${relative})
    string(REGEX REPLACE "[/.]" "_" flat ${target})
    set(unit ${PROJECT_BINARY_DIR}/header_checks/${flat}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${target}\"\n#include \"${target}\"\n")
    # What is written for one instruction set is compiled with its flags.
    file(STRINGS ${header} isa_code REGEX "MOE_ISA" LIMIT_COUNT 1)
    if(NOT isa_code)
      list(APPEND units ${unit})
    elseif(relative MATCHES "avx512")
      list(APPEND units_avx512 ${unit})
    else()
      list(APPEND units_avx2 ${unit})
    endif()
  endforeach()

  moe_header_check_target(header_checks "${units}")
  foreach(isa IN ITEMS avx2 avx512)
    if(units_${isa} AND TARGET moe_flags_${isa})
      moe_header_check_target(header_checks_${isa} "${units_${isa}}")
      target_link_libraries(header_checks_${isa} PRIVATE moe_flags_${isa})
      target_compile_definitions(header_checks_${isa} PRIVATE MOE_ISA=${isa})
    endif()
  endforeach()
endfunction()

function(moe_header_check_target name units)
  add_library(${name} OBJECT ${units})
  # Headers inside a folder may show the library that the folder owns.
  target_link_libraries(${name} PRIVATE moe_flags fmt::fmt spdlog::spdlog yaml-cpp MPI::MPI_CXX
    moe_hdf5 nlohmann_json::nlohmann_json CLI11::CLI11 PkgConfig::sentencepiece
    ZLIB::ZLIB PkgConfig::zstd PkgConfig::pcre2 PkgConfig::utf8proc)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -O0 -g0 -Wno-unused-function)
endfunction()
