pomona extract pictures -o out.csv
