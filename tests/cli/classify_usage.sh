# Each line ends with the exit code.
try() { pomona "$@" 2>&1; echo "= $?"; }
small="--features pixels --size 8 --preprocess unit --hidden 5 --held-out 0.3 --backend cpu --threads 1 -q"
try train "$PICTURES" -o kinds.model $small
for command in train evaluate predict; do
  try $command
  try $command "$PICTURES"
done
try predict "$PICTURES" --model kinds.model
for option in '--hidden 0' '--hidden 5,' '--hidden ,5' '--hidden 5;5' '--hidden all' '--activation tanh' '--solver sgd' \
  '--iterations 0' '--penalty -1' '--penalty x' '--held-out 1' '--held-out nan' '--patience 0' '--fit-on x' \
  '--save-projection x' '--format csv' '--parts 2' '--resume'; do
  try train "$PICTURES" -o x.model $small $option
done
try train "$PICTURES" -o x.model $small --held-out 0.1
try train "$PICTURES" -o x.model $small --label-level 5
try train "$PICTURES" -o x.model $small --label-level -2
try train "$PICTURES" -o kinds.model $small
for option in '--features pixels' '--pca 3' '--words 3' '--weights w.safetensors' '--csv x.parquet'; do
  try evaluate "$PICTURES" --model kinds.model $option
done
echo text >text.model
try evaluate "$PICTURES" --model text.model
try evaluate "$PICTURES" --model missing.model
try evaluate nowhere --model kinds.model
try predict "$PICTURES" --model kinds.model -o out.parquet
try predict "$PICTURES" --model kinds.model -o kinds.model.csv --rejects kinds.model --overwrite
try extract "$PICTURES" -o x.csv --projection kinds.model
pomona extract "$PICTURES" -o x.csv --features pixels --size 8 --standardize --save-projection p.projection -q
try predict "$PICTURES" --model p.projection -o out.csv
ls -A
