pomona extract "$MIXED" -o out.csv -q --on-error stop; echo "= $?"
pomona extract "$MIXED" -o out.csv -q --max-rejects 1; echo "= $?"
pomona extract "$MIXED" -o out.csv -q --max-rejects 2; echo "= $?"
rm out.csv*
ls -A
