# Turns the kernels' files into one C file of byte arrays: cmake "-DKERNELS=a.cl;b.cl" -DOUTPUT=x.c -P embed_kernels.cmake
set(arrays "")
set(table "")
foreach(path IN LISTS KERNELS)
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n"
    bytes "${bytes}")
  string(APPEND arrays "static const char ${name}[] = {\n${bytes}0x00};\n\n")
  string(APPEND table "    {\"${name}\", ${name}, sizeof ${name} - 1},\n")
endforeach()
list(LENGTH KERNELS count)
file(WRITE ${OUTPUT} "/* Written by embed_kernels.cmake from kernels/. */\n#include \"pmn_ocl.h\"\n\n${arrays}"
  "const pmn_ocl_source pmn_ocl_sources[] = {\n${table}};\nconst size_t pmn_ocl_source_count = ${count};\n")
