/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loading.h: what the tests of the loaders share: running one, and asking for a refusal.
 */
#ifndef TESTS_UNIT_LOADING_H
#define TESTS_UNIT_LOADING_H

#include "fake_cpu.h"
#include "images.h"

/* A machine with one kernel file, and the file. */
struct loading {
	struct fake_machine m;
	struct image_file file;
};

#define KERNEL_NAME "vmlinuz-6.1.0-56-cloud-amd64" /* as long as real names get */

/** loading_begin() - a VM of @ram bytes with @file as its kernel; owns @file from now on. */
void loading_begin(struct loading *l, struct image_file file, u64 ram);
void loading_end(struct loading *l);

/** load() - run the loader of that name. Return: its result. */
int load(struct loading *l, const char *loader);
/** probe() - does the loader of that name know the kernel? */
bool probe(struct loading *l, const char *loader);

/**
 * assert_refused() - load, and see that it fails with @error and a sentence with @words in it.
 * The sentence must have fitted into vm->reason, and name @file.
 */
void assert_refused(struct loading *l, const char *loader, int error, const char *file,
		    const char *words);

/* A change to a file that makes it wrong, and what the loader must say to it. */
struct flaw {
	u64 offset;
	unsigned width; /* 0: cut the file to @offset bytes */
	u64 value;
	int error;
	const char *words;
};

/** assert_flaw_refused() - a VM of @ram bytes, @file with one flaw: the loader must refuse it. */
void assert_flaw_refused(struct image_file file, u64 ram, const char *loader,
			 const struct flaw *flaw);

/** assert_bytes() - guest memory from @gpa on is the file's from @offset on, @size bytes. */
void assert_bytes(struct loading *l, u64 gpa, u64 offset, u64 size);
/** assert_zero() - guest memory [start, end) is zero. */
void assert_zero(struct loading *l, u64 start, u64 end);

/** assert_flat_segments() - CS, the data segments, TR; and the GDT says the same. */
void assert_flat_segments(struct loading *l, u16 code_attrib, u64 gdt);
/** assert_registers() - all general registers, RSP included, by name in encoding order. */
void assert_registers(struct loading *l, const u64 expected[GPR_COUNT]);

#endif
