/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traps.c: segments, interrupt vectors, and what is said when Casita itself breaks.
 *
 * Interrupts find their handler in a table of one function a vector. An exception in Casita is a
 * bug, with one exception: an instruction that announced in the section "fixups" that it may
 * fault. Everything else ends in a report that is made for reading: what happened in words, the
 * registers, the functions that led there, and the end of the machine.
 *
 * Three exceptions get a stack of their own through the task state segment (APM vol. 2 §8.9.4):
 * #DF, because it mostly means that the stack is used up; NMI and #MC, because they come at any
 * time, even where the stack is not ours.
 *
 *	1. the tables that the processor reads: GDT, TSS, IDT
 *	2. setting them up
 *	3. the report
 *	4. panic(), and the dispatch of a trap
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/exit.h"
#include "host/symbols.h"
#include "host/traps.h"
#include "lib/print.h"
#include "x86/regs.h"

_Static_assert((TRAPS_WITH_ERROR & VECTORS_WITH_ERROR) == VECTORS_WITH_ERROR, "regs.h has more");
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "traps_entry.S pushes 22 words");

/* ---- 1. the tables ---------------------------------------------------------------------- */

/* Flat segments (APM vol. 2 §4.8); boot.S loads this table, traps_init() adds the TSS. */
u64 host_gdt[HOST_GDT_SIZE / 8] = {
	[HOST_CS / 8] = 0x00af9b000000ffff, /* L: 64-bit code, accessed */
	[HOST_DS / 8] = 0x00cf93000000ffff, /* writable data, accessed */
};

/* Task state segment, APM vol. 2 §12.2.5: in long mode it only holds stack pointers. */
static struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap_base;
} __packed tss;
_Static_assert(sizeof(struct tss) == 104, "APM vol. 2 figure 12-8");

/* Interrupt gate, APM vol. 2 §4.8.4. */
static struct gate {
	u16 offset0;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset16;
	u32 offset32;
	u32 reserved;
} __packed idt[256];
_Static_assert(sizeof(struct gate) == 16, "APM vol. 2 figure 4-24");

#define GATE_INTERRUPT	 0x8e /* present, ring 0, clears IF */
#define TSS_AVAILABLE	 0x89 /* present, ring 0, 64-bit TSS */
#define TRAP_ENTRY_BYTES 16

enum ist { IST_NONE, IST_DF, IST_NMI, IST_MC, IST_COUNT };

static u8 ist_stacks[IST_COUNT - 1][8 * KIB] __aligned(16);

extern const u8 trap_entries[];
extern u8 boot_stack_guard[], boot_stack[];
extern const struct fixup __start_fixups[], __stop_fixups[];

static void (*handlers[256])(void);

struct table_pointer {
	u16 limit;
	u64 base;
} __packed;

/* ---- 2. setting up ------------------------------------------------------------------------ */

static void set_gate(unsigned vector, enum ist ist)
{
	uintptr_t entry = (uintptr_t)trap_entries + vector * TRAP_ENTRY_BYTES;

	idt[vector] = (struct gate){
		.offset0 = (u16)entry,
		.selector = HOST_CS,
		.ist = (u8)ist,
		.type = GATE_INTERRUPT,
		.offset16 = (u16)(entry >> 16),
		.offset32 = (u32)(entry >> 32),
	};
}

static void load_tss(void)
{
	u64 base = (uintptr_t)&tss, limit = sizeof(tss) - 1;

	tss.iomap_base = sizeof(tss); /* none */
	for (unsigned i = 0; i < IST_COUNT - 1; i++)
		tss.ist[i] = (uintptr_t)ist_stacks[i + 1];

	/* a system descriptor is 16 bytes in long mode: APM vol. 2 §4.8.3 */
	host_gdt[HOST_TSS / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 |
				 (u64)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	host_gdt[HOST_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(HOST_TSS));
}

void traps_init(void)
{
	struct table_pointer gdtr = {sizeof(host_gdt) - 1, (uintptr_t)host_gdt};
	struct table_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr)); /* the same, by its 64-bit address */
	load_tss();
	for (unsigned vector = 0; vector < ARRAY_SIZE(idt); vector++)
		set_gate(vector, IST_NONE);
	set_gate(VEC_DF, IST_DF);
	set_gate(VEC_NMI, IST_NMI);
	set_gate(VEC_MC, IST_MC);
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap_handle_irq(unsigned vector, void (*fn)(void))
{
	handlers[vector] = fn;
}

/* ---- 3. the report ------------------------------------------------------------------------ */

static const char *const names[32] = {
	[VEC_DE] = "divide error (#DE)",
	[VEC_DB] = "debug exception (#DB)",
	[VEC_NMI] = "non-maskable interrupt",
	[VEC_BP] = "breakpoint (#BP)",
	[VEC_OF] = "overflow (#OF)",
	[VEC_BR] = "bound range exceeded (#BR)",
	[VEC_UD] = "invalid opcode (#UD)",
	[VEC_NM] = "x87 or SSE not available (#NM)",
	[VEC_DF] = "double fault (#DF)",
	[VEC_TS] = "invalid TSS (#TS)",
	[VEC_NP] = "segment not present (#NP)",
	[VEC_SS] = "stack fault (#SS)",
	[VEC_GP] = "general protection (#GP)",
	[VEC_PF] = "page fault (#PF)",
	[VEC_MF] = "x87 error (#MF)",
	[VEC_AC] = "alignment check (#AC)",
	[VEC_MC] = "machine check (#MC)",
	[VEC_XM] = "SSE error (#XM)",
	[VEC_CP] = "control protection (#CP)",
};

/* With nothing mapped at RIP, the fault came of a jump or a call to there. */
static bool jumped_astray(const struct trap_frame *f)
{
	return f->vector == VEC_PF && read_cr2() == f->rip;
}

static const char *attempt(const struct trap_frame *f)
{
	if (jumped_astray(f))
		return "jump to";
	if (f->error & PF_FETCH)
		return "fetch from";
	return f->error & PF_WRITE ? "write to" : "read of";
}

static void explain_page_fault(const struct trap_frame *f)
{
	u64 error = f->error, address = read_cr2();

	print(": %s 0x%lx, ", attempt(f), address);
	if (error & PF_RSVD)
		print("a reserved bit is set in a page table entry");
	else
		print(error & PF_PRESENT ? "the page does not allow it" : "no page is there");
	if (address < PAGE_SIZE)
		print(" (a null pointer?)");
}

static void explain(const struct trap_frame *f)
{
	uintptr_t guard = (uintptr_t)boot_stack_guard;
	const char *name = f->vector < ARRAY_SIZE(names) ? names[f->vector] : NULL;

	print("\nCasita broke: ");
	if (name)
		print("%s", name);
	else
		print("trap 0x%lx, which nobody handles", f->vector);

	if (f->vector == VEC_PF)
		explain_page_fault(f);
	else if (f->error &&
		 BIT(f->vector) & (BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP)))
		print(": selector or vector, error code 0x%lx", f->error);
	else if (f->vector == VEC_GP)
		print(": often a non-canonical address, or a bad value for a register");
	if (f->vector == VEC_DF && read_cr2() - guard < PAGE_SIZE)
		print(": the stack overflowed");
	print("\n");
}

static void print_registers(const struct trap_frame *f)
{
	print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	print("  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx\n", f->rsi, f->rdi, f->rbp, f->rsp);
	print("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	print("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	print("  rip %016lx  cs  %04lx  ss %04lx  rflags %08lx  error %lx\n", f->rip, f->cs, f->ss,
	      f->rflags, f->error);
	print("  cr0 %08lx  cr2 %016lx  cr3 %016lx  cr4 %08lx  efer %04lx\n", read_cr0(),
	      read_cr2(), read_cr3(), read_cr4(), rdmsr(MSR_EFER));
}

/* A report that faults itself must not go on for ever. */
static void begin_report(void)
{
	static bool reporting;

	cli();
	if (reporting) {
		console_write("\r\nCasita broke again while it reported that.\r\n", 46);
		host_exit(HOST_EXIT_BROKEN);
	}
	reporting = true;
}

/* ---- 4. panic and dispatch ---------------------------------------------------------------- */

void panic(const char *fmt, ...)
{
	u64 here = (uintptr_t)__builtin_frame_address(0);
	va_list ap;

	begin_report();
	print("\nCasita panics: ");
	va_start(ap, fmt);
	print_v(fmt, ap);
	va_end(ap);
	print("\n");
	backtrace(here, here);
	host_exit(HOST_EXIT_BROKEN);
}

static bool fix_up(struct trap_frame *f)
{
	for (const struct fixup *it = __start_fixups; it != __stop_fixups; it++) {
		if (it->rip == f->rip) {
			f->rip = it->go_on;
			return true;
		}
	}
	return false;
}

/* Called by traps_entry.S, interrupts disabled. */
void trap_dispatch(struct trap_frame *f);
void trap_dispatch(struct trap_frame *f)
{
	if (handlers[f->vector]) {
		handlers[f->vector]();
		return;
	}
	if (fix_up(f))
		return;
	begin_report();
	explain(f);
	print_registers(f);
	print_symbol("  at ", f->rip);
	if (jumped_astray(f)) /* a call left where it came from on the stack */
		print_symbol("  by ", *(const u64 *)hpa_ptr(HPA(f->rsp)));
	backtrace(f->rbp, f->rsp);
	host_exit(HOST_EXIT_BROKEN);
}
