pomona extract "$PICTURES" -o missing/out.csv
pomona extract "$PICTURES" -o /dev/null/out.csv
mkdir out.csv
pomona extract "$PICTURES" -o out.csv
