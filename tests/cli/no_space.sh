# A limit on the size of files stands for a full disk.
ulimit -f 8
for options in '-o out.csv' '-o out.npy' '-o out.parquet --pca 2'; do
  env --default-signal=XFSZ pomona extract "$MIXED" $options -q --backend cpu
  echo "= $?"
done
ls -A
