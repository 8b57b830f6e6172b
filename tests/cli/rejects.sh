pomona extract "$MIXED" -o out.csv -v --backend cpu
code=$?
cat out.csv.rejects.csv
cut -d, -f1,2 out.csv
exit $code
