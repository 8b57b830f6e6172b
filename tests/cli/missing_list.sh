pomona extract @list -o out.csv
