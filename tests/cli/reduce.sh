# Features saved, then reduced; a projection kept and used; the sums of two runs merged. Every second line is an exit code.
try() { pomona "$@"; echo "= $?"; }
pomona extract "$PICTURES" -o features.npy --backend cpu --threads 1 -q
try reduce features.npy -o reduced.csv --index features.npy.index.csv --standardize --pca 2 --backend cpu --threads 1 \
  --save-projection kept.projection --save-moments kept.moments
try reduce features.npy -o again.csv --index features.npy.index.csv --projection kept.projection --backend cpu -q
cmp reduced.csv again.csv && echo "the same rows"
head -1 reduced.csv
cut -d, -f1,2 reduced.csv | cmp - features.npy.index.csv && echo "the same names"
try extract "$PICTURES" -o from_pictures.csv --projection kept.projection --backend cpu -q 2>&1
try merge kept.moments kept.moments --standardize --pca 2 --save-projection twice.projection 2>&1
try merge kept.moments --pca 2 --save-projection twice.projection 2>&1
try reduce features.npy -o x.csv --standardize=median 2>&1
try reduce features.npy -o x.csv --pca 2 --memory 8Q 2>&1
try reduce features.npy -o x.csv --pca 2 --memory 1K 2>&1
try reduce kept.projection -o x.csv --pca 2 2>&1
try reduce features.npy -o x.csv --pca 2 --spool . 2>&1
try merge kept.moments --pca 2 --memory 1K --save-projection small.projection 2>&1
try merge kept.moments --pca 2 --overwrite --save-projection ./kept.moments 2>&1
try reduce features.npy -o x.csv --projection kept.moments 2>&1
try reduce features.npy -o x.csv 2>&1
try reduce -o x.csv 2>&1
try merge 2>&1
ls -A
