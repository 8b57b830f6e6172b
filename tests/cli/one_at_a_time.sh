# Two runs on one file: the second is refused at once; a dead one is in nobody's way, and what it left can be removed.
mkfifo progress
begin() {
  pomona extract "$PICTURES" -o out.csv --backend ref --batch 1 -q --overwrite --progress json 2>progress &
  exec 3<progress
  read -r -u 3 line
  kill -STOP $!
}
end() {
  kill -KILL $!
  { wait $!; } 2>/dev/null
}
begin
pomona extract "$PICTURES" -o out.csv -q; echo "= $?"
pomona extract "$PICTURES" -o "$PWD/out.csv" -q --overwrite; echo "= $?"
printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }" >matrix.npy
printf '\0\0\0\0\0\0\x80\x3f' >>matrix.npy
pomona reduce matrix.npy -o out.csv -q --standardize; echo "= $?"
pomona clean out.csv; echo "= $?"
end
ls -A | grep -v 'tmp$'
pomona extract "$PICTURES" -o out.csv -q; echo "= $?"
ls -A | grep -v 'tmp$'
begin
end
pomona clean out.csv; echo "= $?"
ls -A
