pomona extract "$MIXED" -o out.npy --progress plain --backend cpu 2>&1 | grep features:
pomona extract "$MIXED" -o out2.npy --progress none --backend cpu 2>&1 | grep features:
true
