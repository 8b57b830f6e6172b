# Nobody reads the messages any more: the run goes on to its end.
{ pomona extract "$PICTURES" -o out.npy --progress json --batch 1; echo "= $?" >code; } 2>&1 | head -1 >/dev/null
cat code
# Nobody reads the record: the table is there, and the exit code tells.
{ pomona extract "$PICTURES" -o out2.npy -q --json; echo "= $?" >code; } | sleep 0
cat code
ls -A
