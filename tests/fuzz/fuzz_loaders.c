/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_loaders.c: kernels with random damage, loaded under AddressSanitizer.
 *
 *	fuzz_loaders [rounds [seed]]
 *
 * Each round takes one of the hand-built kernels of tests/unit/images.c, overwrites a few fields of
 * its headers (with numbers that are interesting: small, huge, near the file's and RAM's size), may
 * cut it short, and hands it to its loader. Files and RAM are allocations of just their size, so
 * the first byte read or written outside ends the program. What must hold besides: a refusal has a
 * sentence, and a kernel that is accepted starts inside RAM.
 *
 * The same seed damages in the same way; a failure prints the round's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/print.h"
#include "loading.h"

#define RAM    (8 * MIB)
#define ROUNDS 200000

/* ---- random numbers: xorshift64 (Marsaglia 2003) ------------------------------------------- */

static u64 state;

static u64 next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static u64 below(u64 n)
{
	return next_random() % n;
}

/* ---- damage -------------------------------------------------------------------------------- */

/* Where a kernel's headers are, and who loads it. */
static const struct target {
	struct image_file (*build)(void);
	const char *loader;
	u64 start, end;
} targets[] = {
	{image_elf32, "multiboot", 0, ELF32_PH(3)},
	{image_elf32, "multiboot", ELF32_MB, ELF32_MB + 12},
	{image_elf64, "multiboot", 0, ELF64_PH(3)},
	{image_raw, "multiboot", RAW_MB, RAW_MB + 32},
	{image_bzimage, "linux", 0x1f1, 0x268},
	{image_bzimage, "flat", 0, 1},
};

static u64 interesting(const struct image_file *f)
{
	const u64 bases[] = {0, f->size, RAM, MIB, GIB, 4 * GIB, 1ull << 31, 1ull << 63, 0x7fff};

	switch (below(4)) {
	case 0:
		return next_random();
	case 1:
		return next_random() >> below(64);
	case 2:
		return below(RAM);
	default:
		return bases[below(ARRAY_SIZE(bases))] + below(65) - 32;
	}
}

static void damage(struct image_file *f, const struct target *t)
{
	static const unsigned widths[] = {1, 2, 4, 8};

	for (u64 n = below(5); n > 0; n--) {
		unsigned width = widths[below(ARRAY_SIZE(widths))];
		u64 offset = t->start + below(t->end - t->start);

		if (offset % width && below(4)) /* most fields are aligned */
			offset -= offset % width;
		if (offset + width <= f->size)
			image_poke(f, offset, width, interesting(f));
	}
	if (!below(8))
		image_cut(f, below(f->size + 1));
}

/* A Multiboot header's checksum would hide what else is wrong: put it right, mostly. */
static void mend_checksum(struct image_file *f, u64 offset)
{
	if (offset + 12 <= f->size && below(8))
		image_poke(f, offset + 8, 4,
			   -(get32(f->data + offset) + get32(f->data + offset + 4)));
}

/* ---- a round ------------------------------------------------------------------------------- */

static void configure(struct loading *l, const struct image_file *f)
{
	struct vm_config *c = &l->m.config;

	memset(c, 0, sizeof(*c));
	c->kernel = image_vm_file(f, "kernel", below(4) ? "" : "some words");
	c->at = below(2) ? UINT64_MAX : interesting(f);
	c->mode = below(3);
	if (!below(3))
		c->initrd = image_vm_file(f, "initrd", "");
	for (c->module_count = 0; !below(4) && c->module_count < VM_FILES_MAX; c->module_count++)
		c->modules[c->module_count] = image_vm_file(f, "module", "of words");
}

static void fail(u64 seed, const char *what, const char *reason)
{
	fprintf(stderr, "fuzz_loaders: seed %lu: %s: %s\n", seed, what, reason);
	exit(1);
}

/* Return: whether the kernel was accepted. */
static bool round_of(struct loading *l)
{
	const struct target *t = &targets[below(ARRAY_SIZE(targets))];
	u64 seed = state, rip;
	int err;

	l->file = t->build();
	damage(&l->file, t);
	if (t->build == image_raw)
		mend_checksum(&l->file, RAW_MB);
	else if (!strcmp(t->loader, "multiboot"))
		mend_checksum(&l->file, ELF32_MB);
	configure(l, &l->file);
	probe(l, "multiboot");
	probe(l, "linux");
	err = load(l, t->loader);
	rip = l->m.cpu.regs[VREG_RIP] + l->m.cpu.segs[SEG_CS].base;
	if (err > 0 || (err && strlen(l->m.vm.reason) < 10))
		fail(seed, "refused without a reason", l->m.vm.reason);
	if (!err && l->m.vm.reason[0])
		fail(seed, "accepted with a reason not to", l->m.vm.reason);
	if (!err && !vm_ptr(&l->m.vm, GPA(rip), 1))
		fail(seed, "starts outside of RAM", t->loader);
	image_free(&l->file);
	return !err;
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : ROUNDS, accepted = 0;
	struct loading l = {};

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	fake_machine_init(&l.m);
	fake_add_ram(&l.m, 0, RAM);
	for (u64 i = 0; i < rounds; i++)
		accepted += round_of(&l);
	fake_machine_free(&l.m);
	printf("fuzz_loaders: %lu kernels, %lu accepted\n", rounds, accepted);
	return accepted == 0 || accepted == rounds;
}
