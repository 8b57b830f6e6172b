# A folder of parts: shown whole, refused twice, gone on with, verified, cleaned; and what clean leaves alone.
pomona extract "$PICTURES" -o out/ --parts 2 --format csv -q && ls -A . out
pomona extract "$PICTURES" -o out/ --parts 2 --format csv -q
echo "code $?"
pomona extract "$PICTURES" -o out/ --parts 2 --format csv --resume -q && echo "nothing to do"
pomona extract "$PICTURES" -o out/ --parts 3 --format csv --resume -q
echo "code $?"
pomona verify out/ -q && echo "as recorded"
echo "x" >>out/part-00001.csv
pomona verify out/
echo "code $?"
pomona clean out/ && ls -A
pomona clean nosuch/; echo "code $?"
pomona clean nosuch/out.csv -q; echo "code $?"
pomona clean .; echo "code $?"
pomona clean out; echo "code $?"
pomona extract "$PICTURES" -o one.csv --resume
