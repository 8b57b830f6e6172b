# What nohup and a script's & ignore stays ignored.
mkfifo progress
(trap '' HUP INT; exec pomona extract "$PICTURES" -o out.npy --backend ref --batch 1 -q --progress json 2>progress) &
exec 3<progress
read -r -u 3 line
kill -HUP $!
kill -INT $!
cat <&3 >/dev/null
wait $!
echo "= $?"
ls -A
