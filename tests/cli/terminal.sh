# On a terminal one line is rewritten: what stands there at the end is no progress.
export TERM=xterm
script -qec 'pomona extract "$MIXED" -o out.npy --standardize --batch 1 --backend cpu -v' /dev/null </dev/null >screen
echo "= $?"
grep -q $'\r\e\[Kfeatures: 8/8, .* 2 rejected' screen && echo "a line of progress"
# What a carriage return and "erase to the end of the line" leave standing.
sed -e 's/\r$//' -e 's/.*\r\x1b\[K//' screen
TERM=dumb script -qec 'pomona extract "$MIXED" -o dumb.npy --backend cpu' /dev/null </dev/null >screen
grep -q $'\e' screen && echo "escapes on a dumb terminal"
rm screen
