pomona extract "$PICTURES" -o out.parquet --standardize --pca 3 --backend cpu --threads 1
ls -A
head -c 4 out.parquet
