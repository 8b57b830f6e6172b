# A run to a folder that stops early says what it has kept, and is gone on with.
cp -r "$PICTURES" pics
echo "no picture" >pics/z.jpg
run() { pomona extract pics -o out/ --parts 7 --format csv "$@"; echo "= $?"; }
run -q --on-error stop
ls -A . .out.pomona
run -q --max-rejects 0 --resume
run --resume 2>&1 | grep 'columns in'
ls -A
run --resume 2>&1 | grep 'columns in'
