echo old >out.csv
pomona extract "$PICTURES" -o out.csv
code=$?
cat out.csv
ls -A
exit $code
