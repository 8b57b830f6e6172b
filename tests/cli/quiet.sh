pomona extract "$PICTURES" -o out.npy -q && ls -A
