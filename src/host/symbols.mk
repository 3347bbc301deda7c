# SPDX-License-Identifier: BSD-3-Clause
#
# symbols.mk: links Casita with a table of its own functions in it, for readable reports.
#
# The first link finds out where every function is. symbols.awk makes the table of that, and the
# second link adds it, behind the code, so that no function moves; cmp makes sure that none did.

table := $(O)/symbol_table

$(O)/casita.elf64: $(objs) host/casita.lds host/symbols.awk
	@$(LD) $(LDFLAGS) -o $(O)/casita.first $(objs)
	@$(NM) -n $(O)/casita.first | awk -f host/symbols.awk >$(table).s
	@$(CC) $(filter --target=%,$(CFLAGS)) -c -o $(table).o $(table).s
	@$(LD) $(LDFLAGS) -o $@ $(objs) $(table).o
	@$(NM) -n $@ | awk -f host/symbols.awk | cmp - $(table).s || { rm $@; false; }
