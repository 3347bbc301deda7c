/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doublefault: an exception while the processor delivers another one. Two "contributory" ones
 * (#DE, #TS, #NP, #SS, #GP) are a #DF; after a "benign" one (such as #UD), the second is delivered
 * in the ordinary way (APM vol. 2 §8.2.9, table 8-3).
 *
 * The handler of #DF must not trust the stack. In long mode it has one of its own through the IST;
 * in protected mode it is a task of its own, entered by a task gate (APM vol. 2 §12.3): the
 * processor puts all registers into one task state segment and loads them from another.
 *
 * What a VMM gets wrong here: it intercepts the first exception, injects it again, and forgets that
 * EXITINTINFO told of one whose delivery was cut short; it takes the second exception for the
 * guest's own and loses the first; Intel's processors do not switch tasks for a guest, so the VMM
 * must.
 */
#include "lib/probe.h"

#define SEL_ABSENT SEL_FREE

CODE(load_ds, "mov %eax, %ds");
CODE(divide, "xor %ecx, %ecx\n div %ecx");
CODE(undefined, "ud2");

/* Take a gate away, and give it back. */
static void gate_present(u8 vector, bool present)
{
	if (present)
		idt[vector].word[0] |= BIT(47);
	else
		idt[vector].word[0] &= ~BIT(47);
}

#ifndef __x86_64__

/* What the assembly below and probe.c share with us. */
void double_entry(void);
void double_fault(reg_t error);
bool probe_ended(struct trap *t);
_Noreturn void probe_leave(void);

static struct tss double_tss __aligned(16);
static u8 double_stack[4096] __aligned(16);
static bool task_link, task_nested, task_switched;

__asm__("double_entry:\n" /* the new task's stack holds the error code */
	"pop %eax\n"
	"sub $12, %esp\n"
	"push %eax\n"
	"call double_fault\n");

static void tasks_init(void)
{
	double_tss.cs = SEL_CODE;
	double_tss.ss = SEL_DATA;
	double_tss.ds = double_tss.es = double_tss.fs = double_tss.gs = SEL_USER_DATA;
	double_tss.eip = (reg_t)double_entry;
	double_tss.esp = (reg_t)double_stack + sizeof(double_stack);
	double_tss.eflags = FLAGS_ONE;
	double_tss.cr3 = tss.cr3 = read_cr3();
	double_tss.iomap = sizeof(double_tss);
	gdt[SEL_TSS_DOUBLE / 8] =
		segment_descriptor((reg_t)&double_tss, sizeof(double_tss) - 1, 0x89, 0);
	idt[VEC_DF].word[0] = SEL_TSS_DOUBLE << 16 | 0x85ull << 40; /* a task gate */
}

/* Runs as the new task, on its stack. The old one's registers are in its TSS. */
void double_fault(reg_t error)
{
	struct trap t = {.vector = VEC_DF, .error = error, .rip = tss.eip, .cs = tss.cs};
	const reg_t gpr[] = {tss.eax, tss.ecx, tss.edx, tss.ebx,
			     tss.esp, tss.ebp, tss.esi, tss.edi};
	reg_t flags;

	__asm__ volatile("pushf\n pop %0" : "=r"(flags));
	memcpy(t.gpr, gpr, sizeof(gpr));
	t.flags = tss.eflags;
	task_nested = flags & FLAGS_NT;
	task_link = double_tss.link == SEL_TSS;
	task_switched = read_cr0() & CR0_TS;

	/* Become the old task again, and leave this one ready for next time: both not busy. */
	write_cr0(read_cr0() & ~CR0_TS);
	gdt[SEL_TSS / 8] = segment_descriptor((reg_t)&tss, sizeof(tss) - 1, 0x89, 0);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	tasks_init();
	if (!probe_ended(&t)) {
		fail("double-fault-unexpected");
		finish(1);
	}
	probe_leave();
}

static void check_task(void)
{
	check("task-nested", task_nested);
	check("task-link", task_link);
	check("task-switched", task_switched);
}

#else

static void tasks_init(void) {}

static void check_task(void) {}

#endif

/* The vector, the error code where it is certain, and that no register but RCX changed. */
static void raises(const char *what, const u8 *code, u8 vector)
{
	struct state before = state_new(), s;

	before.gpr[RAX] = SEL_ABSENT;
	s = before;
	probe(code, &s);
	check_equal(what,
		    s.vector << 16 | (vector == VEC_DF ? s.error << 8 : 0) |
			    (registers_changed(&before, &s) & ~BIT(RCX)),
		    vector << 16);
}

void guest(void)
{
	gdt[SEL_ABSENT / 8] = segment_descriptor(0, 0xfffff, 0x13, 0xc);
	tasks_init();

	raises("absent-segment", load_ds, VEC_NP);
	gate_present(VEC_NP, false);
	raises("np-in-np", load_ds, VEC_DF);
	check_task();
	gate_present(VEC_NP, true);
	gate_present(VEC_DE, false);
	raises("np-in-de", divide, VEC_DF);
	gate_present(VEC_DE, true);
	raises("de", divide, VEC_DE);

	/* #UD is benign: no double fault. */
	gate_present(VEC_UD, false);
	raises("np-in-ud", undefined, VEC_NP);
	gate_present(VEC_UD, true);
	raises("ud", undefined, VEC_UD);

	/* And again, now that a double fault has been before. */
	gate_present(VEC_NP, false);
	raises("np-in-np-again", load_ds, VEC_DF);
	check_task();
}
