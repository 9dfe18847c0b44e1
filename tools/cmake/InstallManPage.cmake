# Run while installing: writes ${MOE_MAN_FOLDER}/<program>.1 from the program's own --help, so that the
# page never says anything else.
cmake_path(GET MOE_PROGRAM FILENAME name)
execute_process(COMMAND ${MOE_PROGRAM} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "${MOE_PROGRAM}" "${name}" help "${help}")
string(REGEX MATCH "^[^\n]*" summary "${help}")
string(REPLACE "\\" "\\e" help "${help}")
string(REPLACE "-" "\\-" help "${help}")
string(REGEX REPLACE "\n\\." "\n\\\\&." help "${help}")  # a dot at the start of a line is a command
string(TOUPPER "${name}" title)
file(MAKE_DIRECTORY ${MOE_MAN_FOLDER})
file(WRITE ${MOE_MAN_FOLDER}/${name}.1
  ".TH ${title} 1 \"\" \"moe-train ${MOE_VERSION}\"\n.SH NAME\n${name} \\- ${summary}\n"
  ".SH DESCRIPTION\n.nf\n${help}.fi\n")
message(STATUS "Installing: ${MOE_MAN_FOLDER}/${name}.1")
