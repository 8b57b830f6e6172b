# A model trained, evaluated and asked; then what is wrong with each command. Every second line is an exit code.
try() { pomona "$@"; echo "= $?"; }
small="--features pixels --size 8 --preprocess unit --hidden 5 --held-out 0.3 --iterations 20 --backend cpu --threads 1"
try train "$PICTURES" -o kinds.model $small
try evaluate "$PICTURES" --model kinds.model --backend cpu -q
try evaluate "$PICTURES" --model kinds.model --backend cpu -q --csv scores.csv
cat scores.csv
try predict "$PICTURES" --model kinds.model -o classes.csv --backend cpu -q
cut -d, -f1-3 classes.csv
mkdir others
cp -r "${PICTURES:?}"/. others
mv others/"$(ls others | head -1)" others/Medlar
try evaluate others --model kinds.model --backend cpu -q
try evaluate others --model kinds.model --backend cpu -q --label-level 5
try evaluate "$MIXED" --model kinds.model --backend cpu -q --json | grep -E '"(accuracy|rejects|unseen_rows)"|^='
try train "$MIXED" -o mixed.model $small
rm mixed.model
cat mixed.model.rejects.csv
rm mixed.model.rejects.csv
try train "$MIXED" -o mixed.model $small -q --on-error stop
try predict "$MIXED" --model kinds.model -o mixed.csv --backend cpu
wc -l <mixed.csv
ls -A
pomona inspect kinds.model | grep -E '^(weights|biases|pomona|made)|^  "solver"'
[ "$(pomona inspect kinds.model | sed -n 's/^sha256 *//p')" = "$(sha256sum <kinds.model | cut -c1-64)" ] && echo its hash
printf 'x' >>kinds.model
try inspect kinds.model
