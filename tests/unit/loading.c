/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loading.c: what the tests of the loaders share: running one, and asking for a refusal.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "loading.h"
#include "vmm/loader.h"

void loading_begin(struct loading *l, struct image_file file, u64 ram)
{
	fake_machine_init(&l->m);
	fake_add_ram(&l->m, 0, ram);
	l->file = file;
	l->m.config.kernel = image_vm_file(&file, KERNEL_NAME, "");
}

void loading_end(struct loading *l)
{
	fake_machine_free(&l->m);
	image_free(&l->file);
}

static const struct loader *find(const char *name)
{
	const struct loader *const *it;

	set_for_each (loaders, it) {
		if (!strcmp((*it)->name, name))
			return *it;
	}
	ck_abort_msg("no loader %s", name);
	return NULL;
}

int load(struct loading *l, const char *loader)
{
	l->m.vm.reason[0] = 0;
	return find(loader)->load(&l->m.vm);
}

bool probe(struct loading *l, const char *loader)
{
	return find(loader)->probe(&l->m.config.kernel);
}

void assert_refused(struct loading *l, const char *loader, int error, const char *file,
		    const char *words)
{
	int err = load(l, loader);
	const char *reason = l->m.vm.reason;

	ck_assert_msg(err == error, "wanted %d and \"%s\", got %d: %s", error, words, err, reason);
	ck_assert_msg(strstr(reason, words), "\"%s\" is not in: %s", words, reason);
	ck_assert_msg(!strncmp(reason, file, strlen(file)), "%s is not first in: %s", file, reason);
	ck_assert_msg(strlen(reason) < sizeof(l->m.vm.reason) - 1, "too long: %s", reason);
}

void assert_flaw_refused(struct image_file file, u64 ram, const char *loader,
			 const struct flaw *flaw)
{
	struct loading l;

	if (flaw->width)
		image_poke(&file, flaw->offset, flaw->width, flaw->value);
	else
		image_cut(&file, flaw->offset);
	loading_begin(&l, file, ram);
	assert_refused(&l, loader, flaw->error, KERNEL_NAME, flaw->words);
	loading_end(&l);
}

void assert_bytes(struct loading *l, u64 gpa, u64 offset, u64 size)
{
	ck_assert(offset + size <= l->file.size);
	ck_assert_msg(!memcmp(fake_ram(&l->m, gpa), l->file.data + offset, size),
		      "0x%lx bytes at 0x%lx are not the file's at 0x%lx", size, gpa, offset);
}

void assert_zero(struct loading *l, u64 start, u64 end)
{
	for (u64 gpa = start; gpa < end; gpa++)
		ck_assert_msg(*fake_ram(&l->m, gpa) == 0, "not zero at 0x%lx", gpa);
}

static void assert_flat_segment(struct loading *l, enum seg seg, u16 selector, u16 attrib)
{
	const struct segment *s = &l->m.cpu.segs[seg];

	ck_assert_msg(s->selector == selector && s->attrib == attrib && s->base == 0 &&
			      s->limit == 0xffffffff,
		      "segment register %d: selector 0x%x attrib 0x%x base 0x%lx limit 0x%x", seg,
		      s->selector, s->attrib, s->base, s->limit);
}

/* The two descriptors as the manuals show flat ones: base 0, limit 0xfffff pages, present, accessed
 */
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffull
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_DATA	  0x00cf93000000ffffull
#define ATTRIB_DATA	  0xc93 /* G, DB, P, S, read and write, accessed */
#define ATTRIB_CODE64	  0xa9b

void assert_flat_segments(struct loading *l, u16 code_attrib, u64 gdt)
{
	const u8 *table = fake_ram(&l->m, gdt);
	const struct segment *tr = &l->m.cpu.segs[SEG_TR];

	assert_flat_segment(l, SEG_CS, 0x10, code_attrib);
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		if (seg != SEG_CS)
			assert_flat_segment(l, seg, 0x18, ATTRIB_DATA);
	}
	ck_assert_uint_eq(tr->attrib, 0x8b); /* present, busy TSS */
	ck_assert_uint_eq(l->m.cpu.gdt.base, gdt);
	ck_assert_uint_eq(l->m.cpu.gdt.limit, 31);
	ck_assert_uint_eq(l->m.cpu.idt.limit, 0);
	ck_assert_uint_eq(get64(table), 0);
	ck_assert_uint_eq(get64(table + 8), 0);
	ck_assert_uint_eq(get64(table + 16),
			  code_attrib == ATTRIB_CODE64 ? DESCRIPTOR_CODE64 : DESCRIPTOR_CODE32);
	ck_assert_uint_eq(get64(table + 24), DESCRIPTOR_DATA);
}

void assert_registers(struct loading *l, const u64 expected[GPR_COUNT])
{
	for (enum gpr reg = 0; reg < GPR_COUNT; reg++) {
		u64 is = vcpu_gpr(&l->m.vcpu, reg);

		ck_assert_msg(is == expected[reg], "register %d is 0x%lx, not 0x%lx", reg, is,
			      expected[reg]);
	}
	ck_assert_uint_eq(vcpu_get(&l->m.vcpu, VREG_RFLAGS), RFLAGS_ONE);
}
