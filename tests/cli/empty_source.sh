mkdir pictures && echo text >pictures/readme.txt
pomona extract pictures -o out.csv
