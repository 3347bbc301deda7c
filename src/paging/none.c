/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * none.c: no memory virtualization at all: a guest's physical address is the machine's.
 *
 * That is what there is before the labs on memory. A guest without paging of its own runs well so, as
 * long as it is put where it expects to be and keeps to its memory. Nothing makes it do that: it can
 * read and write Casita, and every other VM. Good for seeing why labs 3 and 4 are needed.
 */
#include "vmm/paging_ops.h"

static const struct paging_ops none_ops = {.name = "none", .rank = 0, .identity = true};
PAGING_MODE(none_ops);
