/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elf.c: puts the program in an ELF file into guest RAM.
 *
 * An ELF file has a header, which says where the table of program headers is; each program header
 * of type PT_LOAD describes a segment: so many bytes at that offset in the file belong to that
 * physical address, and so many zeroes behind them. ELF32 and ELF64 say the same in words of
 * different width, so the steps are:
 *
 *	1. the formats, and reading either into one common form
 *	2. checking the header
 *	3. checking the segments: inside the file, below 4 GiB, apart from each other
 *	4. copying them
 *
 * Every number comes from the file and may be anything. The checks never add two of them before
 * knowing that the sum fits, and nothing is written until all segments have been checked.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "loaders/elf.h"
#include "loaders/loaders.h"
#include "vmm/vm.h"

/* ---- 1. the formats ------------------------------------------------------------------ */

#define ELF_IDENT 16
#define ELF_MAGIC \
	"\x7f"    \
	"ELF"
#define EI_CLASS   4
#define ELFCLASS32 1
#define ELFCLASS64 2
#define EI_DATA	   5
#define ELFDATA_LE 1 /* two's complement, little-endian */
#define ET_EXEC	   2
#define EM_386	   3
#define EM_X86_64  62
#define PT_LOAD	   1

struct elf32_header {
	u8 ident[ELF_IDENT];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf32_header) == 52, "ELF");

struct elf64_header {
	u8 ident[ELF_IDENT];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64, "ELF");

struct elf32_program {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
_Static_assert(sizeof(struct elf32_program) == 32, "ELF");

struct elf64_program {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_program) == 56, "ELF");

/* A header of either class; the fields that matter, in the wider words. */
struct header {
	bool wide; /* ELF64 */
	u16 type, machine, phentsize, phnum;
	u64 entry, phoff;
};

struct segment_list {
	struct elf64_program segments[16]; /* an x86 kernel has two to five */
	unsigned count;
};

static struct header read_header(const struct vm_file *file)
{
	struct elf32_header h32;
	struct elf64_header h64;

	if (((const u8 *)file->data)[EI_CLASS] == ELFCLASS64) {
		memcpy(&h64, file->data, sizeof(h64));
		return (struct header){true,	  h64.type,  h64.machine, h64.phentsize,
				       h64.phnum, h64.entry, h64.phoff};
	}
	memcpy(&h32, file->data, sizeof(h32));
	return (struct header){false,	  h32.type,  h32.machine, h32.phentsize,
			       h32.phnum, h32.entry, h32.phoff};
}

static struct elf64_program read_program(const struct vm_file *file, const struct header *h,
					 unsigned i)
{
	const u8 *at = (const u8 *)file->data + h->phoff + (u64)i * h->phentsize;
	struct elf64_program wide;
	struct elf32_program p;

	if (h->wide) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&p, at, sizeof(p));
	return (struct elf64_program){
		.type = p.type,
		.offset = p.offset,
		.vaddr = p.vaddr,
		.paddr = p.paddr,
		.filesz = p.filesz,
		.memsz = p.memsz,
	};
}

/* ---- 2. the header ------------------------------------------------------------------- */

bool elf_probe(const struct vm_file *file)
{
	return file->size >= ELF_IDENT && !memcmp(file->data, ELF_MAGIC, strlen(ELF_MAGIC));
}

/* Is all of [offset, offset + size) in the file? */
static bool in_file(const struct vm_file *file, u64 offset, u64 size)
{
	return offset <= file->size && size <= file->size - offset;
}

static int check_ident(struct vm *vm, const struct vm_file *file)
{
	const u8 *ident = file->data;
	u64 size = sizeof(struct elf32_header);

	if (!elf_probe(file))
		return vm_fail(vm, -ENOEXEC, "%s: not an ELF file", file->name);
	if (ident[EI_CLASS] == ELFCLASS64)
		size = sizeof(struct elf64_header);
	else if (ident[EI_CLASS] != ELFCLASS32)
		return vm_fail(vm, -ENOEXEC,
			       "%s: ELF class %u is neither 32-bit (1) nor 64-bit (2)", file->name,
			       ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA_LE)
		return vm_fail(vm, -ENOEXEC, "%s: ELF data encoding %u, x86 is little-endian (1)",
			       file->name, ident[EI_DATA]);
	if (file->size < size)
		return vm_fail(vm, -ENOEXEC,
			       "%s: cut short: %lu bytes, the ELF header alone has %lu", file->name,
			       file->size, size);
	return 0;
}

static int check_header(struct vm *vm, const struct vm_file *file, const struct header *h)
{
	unsigned machine = h->wide ? EM_X86_64 : EM_386;
	unsigned entry_size = h->wide ? sizeof(struct elf64_program) : sizeof(struct elf32_program);
	u64 table = (u64)h->phnum * h->phentsize;

	if (h->type != ET_EXEC)
		return vm_fail(
			vm, -ENOEXEC,
			"%s: ELF type %u is not an executable (2): link it without -pie and -r",
			file->name, h->type);
	if (h->machine != machine)
		return vm_fail(vm, -ENOEXEC, "%s: ELF machine %u, x86 in this class is %u",
			       file->name, h->machine, machine);
	if (h->phentsize != entry_size)
		return vm_fail(vm, -ENOEXEC, "%s: ELF program headers of %u bytes, should be %u",
			       file->name, h->phentsize, entry_size);
	if (!in_file(file, h->phoff, table))
		return vm_fail(vm, -ENOEXEC,
			       "%s: cut short: %lu bytes, has %u program headers at offset %lu",
			       file->name, file->size, h->phnum, h->phoff);
	return 0;
}

/* ---- 3. the segments ----------------------------------------------------------------- */

static int check_segment(struct vm *vm, const struct vm_file *file, unsigned i,
			 const struct elf64_program *p)
{
	if (p->filesz > p->memsz)
		return vm_fail(vm, -ENOEXEC,
			       "%s: segment %u has 0x%lx bytes in the file, 0x%lx in memory",
			       file->name, i, p->filesz, p->memsz);
	if (!in_file(file, p->offset, p->filesz))
		return vm_fail(
			vm, -ENOEXEC,
			"%s: cut short: %lu bytes, segment %u is 0x%lx bytes at offset 0x%lx",
			file->name, file->size, i, p->filesz, p->offset);
	if (p->paddr >= LOADER_LIMIT || p->memsz > LOADER_LIMIT - p->paddr)
		return vm_fail(vm, -ENOEXEC, "%s: segment %u, 0x%lx bytes at 0x%lx, is above 4 GiB",
			       file->name, i, p->memsz, p->paddr);
	return 0;
}

static int check_overlap(struct vm *vm, const struct vm_file *file, unsigned i,
			 const struct elf64_program *p, const struct segment_list *list)
{
	for (unsigned k = 0; k < list->count; k++) {
		const struct elf64_program *q = &list->segments[k];

		if (p->paddr < q->paddr + q->memsz && q->paddr < p->paddr + p->memsz)
			return vm_fail(vm, -ENOEXEC,
				       "%s: segment %u at 0x%lx overlaps the segment at 0x%lx",
				       file->name, i, p->paddr, q->paddr);
	}
	return 0;
}

static int read_segments(struct vm *vm, const struct vm_file *file, const struct header *h,
			 struct segment_list *list)
{
	int err;

	list->count = 0;
	for (unsigned i = 0; i < h->phnum; i++) {
		struct elf64_program p = read_program(file, h, i);

		if (p.type != PT_LOAD || !p.memsz)
			continue;
		if (list->count == ARRAY_SIZE(list->segments))
			return vm_fail(vm, -ENOEXEC, "%s: more than %zu segments to load",
				       file->name, ARRAY_SIZE(list->segments));
		err = check_segment(vm, file, i, &p);
		if (!err)
			err = check_overlap(vm, file, i, &p, list);
		if (err)
			return err;
		list->segments[list->count++] = p;
	}
	return 0;
}

/*
 * A kernel linked to run at a high virtual address has its entry point there too, but starts
 * without paging: the physical address of the entry is that of its place in its segment.
 */
static int find_entry(struct vm *vm, const struct vm_file *file, u64 entry,
		      const struct segment_list *list, struct image *out)
{
	for (unsigned i = 0; i < list->count; i++) {
		const struct elf64_program *p = &list->segments[i];

		if (entry >= p->vaddr && entry - p->vaddr < p->memsz) {
			out->entry = entry - p->vaddr + p->paddr;
			return 0;
		}
	}
	return vm_fail(vm, -ENOEXEC, "%s: the entry point 0x%lx is in none of the %u segments",
		       file->name, entry, list->count);
}

/* ---- 4. copying ---------------------------------------------------------------------- */

static int copy_segment(struct vm *vm, const struct vm_file *file, const struct elf64_program *p)
{
	u8 *to = loader_ram(vm, file, "a segment", p->paddr, p->memsz);

	if (!to)
		return -ENOMEM;
	memcpy(to, (const u8 *)file->data + p->offset, p->filesz);
	memset(to + p->filesz, 0, p->memsz - p->filesz);
	return 0;
}

int elf_load(struct vm *vm, const struct vm_file *file, struct image *out)
{
	struct segment_list list;
	struct header h;
	int err = check_ident(vm, file);

	if (err)
		return err;
	h = read_header(file);
	err = check_header(vm, file, &h);
	if (!err)
		err = read_segments(vm, file, &h, &list);
	if (!err)
		err = find_entry(vm, file, h.entry, &list, out);
	out->end = 0;
	for (unsigned i = 0; !err && i < list.count; i++) {
		const struct elf64_program *p = &list.segments[i];

		out->end = max(out->end, p->paddr + p->memsz);
		err = copy_segment(vm, file, p);
	}
	return err;
}
