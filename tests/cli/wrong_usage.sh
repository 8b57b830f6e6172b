# Each line ends with the exit code.
try() { pomona "$@" 2>&1; echo "= $?"; }
try
try transmogrify
try extract
try extract "$PICTURES"
for option in --nope -x -xq --re --json=3 --quiet=yes --pca -o '--pca 0' '--pca 1.5' '--pca nan' '--pca 3x' '--limit 0' \
  '--limit 1e3' '--threads 0' '--threads 2000' '--batch 0' '--device -1' '--device 0,' '--device 0,,1' '--device 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16' '--max-rejects -1' '--label-level x' \
  '--on-error maybe' '--progress loud'; do
  try extract "$PICTURES" $option
done
for option in '--features resnet' '--resize lanczos' '--format xls' '--backend cuda' '--features mobilenet_v2' '--precision fp8' \
  '--precision bf16 --backend ref' '--precision fp16 --backend cpu' '--precision bf16 --features pixels --size 8' \
  '--features pixels --size 8 --seed 1' '--seed 1' '--label-regex (' '--device 0' '--pca 7' '--rejects ./out.csv'; do
  try extract "$PICTURES" -o out.csv $option
done
try extract "$PICTURES" -o out
try extract "" -o out.csv
try reduce matrix.npy -o out.csv --device 0,1
try devices --nope
ls -A
