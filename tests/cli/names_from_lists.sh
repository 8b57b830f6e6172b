# The same rows from a list in a file and from NUL-separated names on standard input, in whatever order.
cd "$PICTURES"
out=$OLDPWD
find . -name '*.jpg' | sort -r >"$out/list"
pomona extract "@$out/list" -o "$out/a.npy" -q
find . -name '*.jpg' -print0 | pomona extract - -o "$out/b.npy" -q
pomona extract . -o "$out/c.npy" -q
cd "$out"
cmp a.npy b.npy && cmp a.npy c.npy && cmp a.npy.index.csv b.npy.index.csv
cat a.npy.index.csv
