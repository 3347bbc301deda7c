/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c: the three states in which a guest's processor can start.
 *
 * A processor comes out of reset in real mode, and a PC's boot loader leads it on to protected mode
 * and long mode with a dozen instructions. We have no need to run them: the visible registers and
 * the hidden parts of the segment registers are ours to set, and we set what those instructions
 * would have left. What they would have left in memory (a GDT, page tables) we write as well,
 * because the guest may load a segment register or walk its tables before it makes its own.
 */
#include "loaders/loaders.h"
#include "vmm/vm.h"
#include "x86/paging.h"

#define FLAT_LIMIT 0xffffffffu
#define FLAT	   (SEG_G | SEG_P | SEG_S)

/* Selector, attributes, limit, base. */
static const struct segment flat_code32 = {START_CS, FLAT | SEG_DB | SEG_TYPE_CODE_RX, FLAT_LIMIT,
					   0},
			    flat_code64 = {START_CS, FLAT | SEG_L | SEG_TYPE_CODE_RX, FLAT_LIMIT,
					   0},
			    flat_data = {START_DS, FLAT | SEG_DB | SEG_TYPE_DATA_RW, FLAT_LIMIT, 0};
/* No task switching is meant, but the processor wants a TSS that is busy (APM vol. 2 §12.2.2). */
static const struct segment no_task = {0, SEG_P | SEG_TYPE_TSS_BUSY, 0xffff, 0};

/*
 * The eight bytes in a GDT that load as @s (APM vol. 2 §4.7.1):
 *
 *	 63       56 55     52 51     48 47      40 39          16 15         0
 *	| base 31-24 | G D L A | lim19-16 | P DPL S T | base 23-0 | limit 15-0 |
 */
static u64 descriptor(const struct segment *s)
{
	u64 limit = s->attrib & SEG_G ? s->limit >> PAGE_SHIFT : s->limit;
	u64 base = s->base, attrib = s->attrib;

	return (limit & 0xffff) | (base & 0xffffff) << 16 | (attrib & 0xff) << 40 |
	       (limit >> 16 & 0xf) << 48 | (attrib >> 8 & 0xf) << 52 | (base >> 24 & 0xff) << 56;
}

static int set_flat_segments(struct vcpu *vcpu, const struct segment *code, gpa_t gdt)
{
	struct table_reg gdtr = {.limit = START_GDT_ENTRIES * sizeof(u64) - 1, .base = gdt.a};
	const struct vm_file *kernel = &vcpu->vm->config->kernel;
	u64 *table = loader_ram(vcpu->vm, kernel, "a GDT", gdt.a, gdtr.limit + 1);

	if (!table)
		return -ENOMEM;
	memset(table, 0, gdtr.limit + 1);
	table[START_CS / sizeof(u64)] = descriptor(code);
	table[START_DS / sizeof(u64)] = descriptor(&flat_data);
	cpu->set_table(vcpu, false, &gdtr);
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		cpu->set_seg(vcpu, seg, seg == SEG_CS ? code : &flat_data);
	cpu->set_seg(vcpu, SEG_TR, &no_task);
	return 0;
}

/*
 * Interrupts are off, and so is the cache's reset state, which a BIOS ends. @idt_limit 0 means
 * that no vector has a gate: an exception before the guest has its own IDT shuts the VM down at
 * the instruction at fault, instead of running wild through whatever is at address 0.
 */
static void set_registers(struct vcpu *vcpu, u64 cr0, u64 rip, u64 rsp, u16 idt_limit)
{
	struct table_reg idt = {.limit = idt_limit};

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu_set(vcpu, VREG_RIP, rip);
	vcpu_set(vcpu, VREG_RSP, rsp);
	vcpu_set(vcpu, VREG_RFLAGS, RFLAGS_RESET);
	vcpu_set(vcpu, VREG_CR0, cr0 | CR0_ET);
	cpu->set_table(vcpu, true, &idt);
}

/*
 * The first 4 GiB one to one (APM vol. 2 §5.3.4): entry 0 of level 4 points to the table of level 3
 * behind it, whose first four entries point to the four tables of level 2 that follow; their 2048
 * entries map 2 MiB each.
 */
#define DIRECTORIES (LOADER_LIMIT / GIB)
_Static_assert(LOW_TABLES_SIZE == (2 + DIRECTORIES) * PAGE_SIZE, "level 4, level 3, and level 2");

static int build_page_tables(struct vm *vm, u64 at)
{
	u64 *level4 = loader_ram(vm, &vm->config->kernel, "page tables", at, LOW_TABLES_SIZE);
	u64 *level3, *level2;

	if (!level4)
		return -ENOMEM;
	level3 = level4 + PT_ENTRIES;
	level2 = level3 + PT_ENTRIES;
	memset(level4, 0, 2 * PAGE_SIZE);
	level4[0] = (at + PAGE_SIZE) | PTE_P | PTE_W;
	for (unsigned i = 0; i < DIRECTORIES; i++)
		level3[i] = (at + (2 + i) * PAGE_SIZE) | PTE_P | PTE_W;
	for (unsigned i = 0; i < DIRECTORIES * PT_ENTRIES; i++)
		level2[i] = i * LARGE_SIZE | PTE_P | PTE_W | PTE_PS;
	return 0;
}

#define REAL_LIMIT	0xffff
#define REAL_IDT_LIMIT	0x3ff /* 256 vectors of four bytes */
#define FIRST_HARD_DISK 0x80  /* as BIOSes number drives */

void start_real(struct vcpu *vcpu, u64 at)
{
	u16 cs = at < 64 * KIB ? 0 : at >> 4;

	set_registers(vcpu, 0, at - ((u64)cs << 4), LOW_STACK, REAL_IDT_LIMIT);
	vcpu_set_gpr(vcpu, GPR_RDX, FIRST_HARD_DISK);
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
		u16 type = seg == SEG_CS ? SEG_TYPE_CODE_RX : SEG_TYPE_DATA_RW;
		u16 selector = seg == SEG_SS ? 0 : cs;
		struct segment s = {selector, SEG_P | SEG_S | type, REAL_LIMIT, (u64)selector << 4};

		cpu->set_seg(vcpu, seg, &s);
	}
}

int start_protected(struct vcpu *vcpu, u64 entry, u64 stack, gpa_t gdt)
{
	set_registers(vcpu, CR0_PE | CR0_NE, entry, stack, 0);
	return set_flat_segments(vcpu, &flat_code32, gdt);
}

int start_long(struct vcpu *vcpu, u64 entry, u64 low)
{
	int err = build_page_tables(vcpu->vm, low + LOW_TABLES);

	if (err)
		return err;
	set_registers(vcpu, CR0_PE | CR0_PG | CR0_NE, entry, low + LOW_STACK, 0);
	vcpu_set(vcpu, VREG_CR3, low + LOW_TABLES);
	vcpu_set(vcpu, VREG_CR4, CR4_PAE);
	vcpu_set(vcpu, VREG_EFER, EFER_LME | EFER_LMA);
	return set_flat_segments(vcpu, &flat_code64, GPA(low + LOW_GDT));
}
