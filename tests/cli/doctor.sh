# No driver at all; drivers that cannot be loaded; and what stands of every machine, whatever devices it has.
mkdir none broken
printf 'libpomona-no-such-driver.so\n' >broken/absent.icd
: >broken/empty.icd
echo "not a driver" >broken/notes.txt
OCL_ICD_VENDORS=$PWD/none pomona doctor >text; echo "= $?"
sed -n '1,/^advice/p' text
OCL_ICD_VENDORS=$PWD/broken pomona doctor | grep 'driver'
OCL_ICD_VENDORS=$PWD/none pomona doctor --json | grep -c '"section": "advice"'
pomona doctor-probe nothing 0; echo "= $?"
pomona doctor-probe; echo "= $?"
pomona doctor --help | head -1
pomona doctor --seconds 0
