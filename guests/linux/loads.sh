# SPDX-License-Identifier: BSD-3-Clause
#
# Work for the Linux guest, run with `.` by its shell. What it prints between "-- begin" and "-- end"
# is the same on every machine; the marks are for who counts instructions.
#
#   FORKS   programs to start one after the other
#   FILES   sources to "compile"
#   MIB     of data to compress
#   STEPS   of churn

mkdir /tmp/loads
cd /tmp/loads
echo "-- begin"
mark fork-begin
i=0 good=0
while [ $i -lt $FORKS ]; do
	/bin/true && good=$((good + 1))
	i=$((i + 1))
done
echo "fork: $good of $FORKS"
mark fork-end

# A build: many small files, several programs and a pipe for each, then again for those that changed.
mark build-begin
compile() {
	for source in $(find . -name '*.c' | sort); do
		object=${source%.c}.o
		[ "$object" -nt "$source" ] && continue
		sed 's/alpha/omega/; s/^/\t/' "$source" | tr a-z A-Z | sort -r > "$object"
		echo "$object" >> built
	done
}
i=0
while [ $i -lt $FILES ]; do
	folder=src/$((i % 10))/$((i % 3))
	mkdir -p $folder
	j=0
	while [ $j -lt 40 ]; do
		echo "alpha $i beta $((i * j % 97)) gamma $((i + j * j))"
		j=$((j + 1))
	done > $folder/file$i.c
	i=$((i + 1))
done
# An old source, so that its object is newer, whichever second it is.
find . -name '*.c' -exec touch -d 2020-01-01 {} +
compile
wc -l < built
find . -name '*7.c' -exec touch {} +
compile
sort built | uniq -c | awk '{ n[$1]++ } END { print n[1], n[2] }'
find . -name '*.o' | sort | xargs cat | tee all.o | wc
find . -name '*.o' | sort | xargs sha256sum | sha256sum
find . -type f | sort | cpio -o -H newc 2>/dev/null | wc -c
crc32 all.o
mark build-end

# What the data are does not matter, but that 1 MiB of it is unlike the next does.
mark data-begin
seq 100000 300000 | head -c 1048000 > chunk
i=0
while [ $i -lt $MIB ]; do
	printf '%0576d' $i
	if [ $((i % 2)) = 0 ]; then cat chunk; else tr 0-9 "$((i % 10))a-j" < chunk; fi
	i=$((i + 1))
done > data
wc -c < data
md5sum < data
mark data-end
mark gzip-begin
gzip -c < data > data.gz
wc -c < data.gz
gunzip -c data.gz | cmp - data && echo "gzip: there and back"
crc32 data.gz
sha1sum < data.gz
rm data data.gz
mark gzip-end

mark churn-begin
churn $STEPS
mark churn-end
echo "-- end"
