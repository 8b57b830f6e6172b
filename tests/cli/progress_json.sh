# With -q there is nothing but JSON, a line each; the last of a phase is whole.
pomona extract "$MIXED" -o out.npy -q --progress json --standardize --batch 2 2>lines
echo "= $?"
grep -vE '^\{"phase": "[a-z]+", "done": [0-9]+, "total": [0-9]+, "rejects": [0-9]+, "images_per_second": [0-9.]+, "seconds_left": -?[0-9.]+\}$' lines
grep features lines | tail -1
tail -1 lines
