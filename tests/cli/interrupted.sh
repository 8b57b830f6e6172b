# In the middle of a run, that is after its first line of progress.
mkfifo progress
env --default-signal=INT pomona extract "$MIXED" -o out.csv --backend ref --batch 1 -q --progress json 2>progress &
exec 3<progress
read -r -u 3 line
kill -INT $!
wait $!
code=$?
grep -v '^{' <&3 >&2
ls -A
exit $code
