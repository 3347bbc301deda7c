/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elf.c: puts the program in an ELF file into guest RAM.
 *
 * An ELF file has a header, which says where the table of program headers is; each program header
 * of type PT_LOAD describes a segment: so many bytes at that offset in the file belong to that
 * physical address, and so many zeroes behind them. ELF32 and ELF64 have words (W) of 4 and 8:
 *
 *	header	16 type, 18 machine; 24 entry, 24+W phoff; 24+3W+6 phentsize, 24+3W+8 phnum
 *	program	0 type; W offset, 2W vaddr, 3W paddr, 4W filesz, 5W memsz
 *
 * Every number comes from the file and may be anything. The checks never add two of them before
 * knowing that the sum fits, and nothing is written until all segments have been checked: inside
 * the file, below 4 GiB, apart from each other.
 */
#include "loaders/loaders.h"
#include "vmm/vm.h"

#define ELF_IDENT    16
#define ELF_MAGIC    0x464c457f /* "\x7f" "ELF" */
#define ELFDATA_LE   1		/* two's complement, little-endian */
#define SEGMENTS_MAX 16		/* an x86 kernel has two to five */

/* Where things are in the file; the places in front of them are always there. */
enum { EI_CLASS = 4, EI_DATA = 5, E_TYPE = 16, E_MACHINE = 18, E_ENTRY = 24 };
enum { ELFCLASS32 = 1, ELFCLASS64 = 2, ET_EXEC = 2, EM_386 = 3, EM_X86_64 = 62, PT_LOAD = 1 };

/* What a program header of type PT_LOAD says. */
struct part {
	u64 offset, vaddr, paddr, filesz, memsz;
};

struct elf {
	struct vm *vm;
	const struct vm_file *file;
	unsigned word; /* W */
	struct part segments[SEGMENTS_MAX];
	unsigned count;
};

static u64 get(const struct vm_file *file, u64 at, unsigned size)
{
	u64 value = 0;

	memcpy(&value, (const u8 *)file->data + at, size);
	return value;
}

bool elf_probe(const struct vm_file *file)
{
	return file->size >= ELF_IDENT && get(file, 0, 4) == ELF_MAGIC;
}

/* Is all of [offset, offset + size) in the file? */
static bool in_file(const struct vm_file *file, u64 offset, u64 size)
{
	return offset <= file->size && size <= file->size - offset;
}

static int check_ident(struct elf *elf)
{
	const struct vm_file *file = elf->file;
	u8 class, data;
	u64 size;

	if (!elf_probe(file))
		return bad_kernel(elf->vm, "not an ELF file");
	class = get(file, EI_CLASS, 1);
	data = get(file, EI_DATA, 1);
	if (class != ELFCLASS32 && class != ELFCLASS64)
		return bad_kernel(elf->vm, "ELF class %u is neither 32-bit (1) nor 64-bit (2)",
				  class);
	if (data != ELFDATA_LE)
		return bad_kernel(elf->vm, "ELF data encoding %u, x86 is little-endian (1)", data);
	elf->word = class == ELFCLASS64 ? 8 : 4;
	size = E_ENTRY + 3 * elf->word + 16;
	if (file->size < size)
		return bad_kernel(elf->vm, "cut short: %lu bytes, the ELF header alone has %lu",
				  file->size, size);
	return 0;
}

static int add_segment(struct elf *elf, unsigned i, const struct part *s)
{
	const struct vm_file *file = elf->file;

	if (elf->count == SEGMENTS_MAX)
		return bad_kernel(elf->vm, "more than %u segments to load", SEGMENTS_MAX);
	if (s->filesz > s->memsz)
		return bad_kernel(elf->vm,
				  "segment %u has 0x%lx bytes in the file, 0x%lx in memory", i,
				  s->filesz, s->memsz);
	if (!in_file(file, s->offset, s->filesz))
		return bad_kernel(elf->vm,
				  "cut short: %lu bytes, segment %u is 0x%lx bytes at offset 0x%lx",
				  file->size, i, s->filesz, s->offset);
	if (s->paddr >= LOADER_LIMIT || s->memsz > LOADER_LIMIT - s->paddr)
		return bad_kernel(elf->vm, "segment %u, 0x%lx bytes at 0x%lx, is above 4 GiB", i,
				  s->memsz, s->paddr);
	for (unsigned k = 0; k < elf->count; k++) {
		const struct part *t = &elf->segments[k];

		if (s->paddr < t->paddr + t->memsz && t->paddr < s->paddr + s->memsz)
			return bad_kernel(elf->vm,
					  "segment %u at 0x%lx overlaps the segment at 0x%lx", i,
					  s->paddr, t->paddr);
	}
	elf->segments[elf->count++] = *s;
	return 0;
}

static int read_segments(struct elf *elf)
{
	const struct vm_file *file = elf->file;
	unsigned w = elf->word, counts = E_ENTRY + 3 * w;
	unsigned type = get(file, E_TYPE, 2), machine = get(file, E_MACHINE, 2);
	unsigned size = get(file, counts + 6, 2), n = get(file, counts + 8, 2);
	unsigned our_machine = w == 8 ? EM_X86_64 : EM_386, our_size = w == 8 ? 56 : 32;
	u64 at = get(file, E_ENTRY + w, w);
	int err = 0;

	if (type != ET_EXEC)
		return bad_kernel(
			elf->vm,
			"ELF type %u is not an executable (2): link it without -pie and -r", type);
	if (machine != our_machine)
		return bad_kernel(elf->vm, "ELF machine %u, x86 in this class is %u", machine,
				  our_machine);
	if (size != our_size)
		return bad_kernel(elf->vm, "ELF program headers of %u bytes, should be %u", size,
				  our_size);
	if (!in_file(file, at, (u64)n * size))
		return bad_kernel(elf->vm,
				  "cut short: %lu bytes, has %u program headers at offset %lu",
				  file->size, n, at);
	for (unsigned i = 0; i < n && !err; i++, at += size) {
		struct part s = {
			get(file, at + w, w),	  get(file, at + 2 * w, w),
			get(file, at + 3 * w, w), get(file, at + 4 * w, w),
			get(file, at + 5 * w, w),
		};

		if (get(file, at, 4) == PT_LOAD && s.memsz)
			err = add_segment(elf, i, &s);
	}
	return err;
}

/*
 * A kernel linked to run at a high virtual address has its entry point there too, but starts
 * without paging: the physical address of the entry is that of its place in its segment.
 */
static int find_entry(const struct elf *elf, struct image *out)
{
	u64 entry = get(elf->file, E_ENTRY, elf->word);

	for (unsigned i = 0; i < elf->count; i++) {
		const struct part *s = &elf->segments[i];

		if (entry >= s->vaddr && entry - s->vaddr < s->memsz) {
			out->entry = entry - s->vaddr + s->paddr;
			return 0;
		}
	}
	return bad_kernel(elf->vm, "the entry point 0x%lx is in none of the %u segments", entry,
			  elf->count);
}

int elf_load(struct vm *vm, struct image *out)
{
	const struct vm_file *file = &vm->config->kernel;
	struct elf elf = {.vm = vm, .file = file};
	int err = check_ident(&elf) ?: read_segments(&elf) ?: find_entry(&elf, out);

	out->end = 0;
	for (unsigned i = 0; !err && i < elf.count; i++) {
		const struct part *s = &elf.segments[i];

		out->end = max(out->end, s->paddr + s->memsz);
		err = loader_put(vm, file, "a segment", s->offset, s->filesz, s->paddr, s->memsz);
	}
	return err;
}
