pomona extract "$PICTURES" -o out.csv --backend opencl --device 99
code=$?
ls -A
exit $code
