# SPDX-License-Identifier: BSD-3-Clause
#
# symbols.awk: turns the output of `nm -n` into the table that report.c searches, as assembly.
# Only functions: symbols of type t or T. One name an address is enough.

BEGIN {
	count = 0
}

$2 ~ /^[tT]$/ && $1 != last {
	last = $1
	address[count] = $1
	name[count++] = $3
}

END {
	print "\t.section .rodata"
	print "\t.align 8"
	print "\t.globl symbol_table, symbol_count"
	print "symbol_count:"
	print "\t.quad " count
	print "symbol_table:"
	for (i = 0; i < count; i++)
		print "\t.quad 0x" address[i] ", .Lname" i
	for (i = 0; i < count; i++)
		print ".Lname" i ":\t.asciz \"" name[i] "\""
	print "\t.section .note.GNU-stack, \"\", @progbits"
}
