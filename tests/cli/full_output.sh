pomona --help >/dev/full; echo "= $?"
pomona devices >/dev/full; echo "= $?"
pomona extract "$PICTURES" -o out.npy -q --json >/dev/full; echo "= $?"
pomona extract "$MIXED" -o out2.npy -q --json >/dev/full; echo "= $?"
ls -A
