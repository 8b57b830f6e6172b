try() { pomona extract "$PICTURES" -o out.csv --features mobilenet_v2 --weights "$1"; echo "= $?"; }
: >empty
printf '\377\377\377\377\377\377\377\177{}' >longer_than_the_file
printf '\002\0\0\0\0\0\0\0{}' >no_tensors
printf '\007\0\0\0\0\0\0\0{"a": x' >no_json
head -c 100000 /dev/urandom >noise
for file in empty longer_than_the_file no_tensors no_json noise missing; do try $file; done
ls -A
