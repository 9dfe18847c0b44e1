# cmake --install puts programs, configs and man pages in place, and the installed program runs.
#   cmake -DBUILD=<build folder> -P installed_test.cmake
set(prefix ${BUILD}/tests/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB programs RELATIVE ${prefix}/bin ${prefix}/bin/moe-*)
if(NOT programs)
  message(FATAL_ERROR "no program under ${prefix}/bin")
endif()
foreach(name IN LISTS programs)
  execute_process(COMMAND ${prefix}/bin/${name} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${prefix}/share/man/man1/${name}.1 page)
  string(TOUPPER ${name} title)
  if(NOT page MATCHES "^\\.TH ${title} 1" OR NOT page MATCHES "Usage")
    message(FATAL_ERROR "${name}.1 is no man page of ${name}:\n${page}")
  endif()
endforeach()
set(config ${prefix}/share/moe-train/configs/run/quickstart.yaml)
execute_process(COMMAND ${prefix}/bin/moe-train ${config} --print-config
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE ${prefix})
