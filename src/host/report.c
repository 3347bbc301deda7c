/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.c: what is said when Casita itself breaks. The report is made for reading: what happened
 * in words, the registers, the functions that led there; then the machine ends.
 *
 * Casita carries the names of its functions in itself, so that a report needs no debugger.
 * It is linked twice (symbols.mk): symbols.awk turns the first link's symbols into the table, the
 * second link adds it. In the first, the table is a weak symbol that nobody defines, and so NULL.
 *
 * The compiler keeps frame pointers (-fno-omit-frame-pointer), which makes the stack a linked list:
 *
 *	RBP ->	the caller's RBP ->	its caller's RBP -> ... -> 0 (boot.S)
 *		return address		return address
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "lib/lab.h"
#include "lib/print.h"
#include "x86/regs.h"

/* ---- names for code addresses ---------------------------------------------------------------- */

/* symbols.awk writes the table, in order of addresses. */
extern const struct symbol {
	u64 address;
	const char *name;
} symbol_table[] __attribute__((weak));
extern const u64 symbol_count[] __attribute__((weak));

/*
 * A line: @prefix, the address, and function+offset if it is Casita's code. @back: look that many
 * bytes before it: a call of a _Noreturn function may be the last instruction of its caller.
 */
static void print_symbol(const char *prefix, u64 address, unsigned back)
{
	u64 after = 0; /* how many symbols are at or below */

	while (symbol_count && after < *symbol_count &&
	       symbol_table[after].address <= address - back)
		after++;
	print("%s%08lx", prefix, address);
	if (after && address < (uintptr_t)data_start)
		print(" %s+0x%lx", symbol_table[after - 1].name,
		      address - symbol_table[after - 1].address);
	print("\n");
}

/* ---- the way back up the stack --------------------------------------------------------------- */

#define MOST_FRAMES 24

/*
 * The callers of the function with frame pointer @frame and stack pointer @stack. The stack may be
 * what is broken: a frame pointer is believed only if it is a multiple of 8, in mapped memory, and
 * not far above the frame before.
 */
static void backtrace(u64 frame, u64 stack)
{
	unsigned n = 0;

	for (; n < MOST_FRAMES && is_aligned(frame, 8) && frame >= (uintptr_t)data_start &&
	       frame < 4 * GIB && frame - stack < HOST_STACK_SIZE;
	     n++) {
		const u64 *words = hpa_ptr(HPA(frame));

		print_symbol("  by ", words[1], 1);
		stack = frame + 16;
		frame = words[0];
	}
	if (n == MOST_FRAMES)
		print("  ...\n");
	if (!n)
		print("  (no callers: the frame pointer 0x%lx is not in the stack)\n", frame);
}

/* ---- the exception in words ------------------------------------------------------------------ */

/* Those that code like ours can cause, or a broken machine. */
static const char *const names[] = {
	[VEC_DE] = "divide error (#DE)",      [VEC_DB] = "debug exception (#DB)",
	[VEC_NMI] = "non-maskable interrupt", [VEC_BP] = "breakpoint (#BP)",
	[VEC_UD] = "invalid opcode (#UD)",    [VEC_DF] = "double fault (#DF)",
	[VEC_TS] = "invalid TSS (#TS)",	      [VEC_NP] = "segment not present (#NP)",
	[VEC_SS] = "stack fault (#SS)",	      [VEC_GP] = "general protection (#GP)",
	[VEC_PF] = "page fault (#PF)",	      [VEC_MC] = "machine check (#MC)",
};

/* With nothing mapped at RIP, the fault came of a jump or a call to there. */
static bool jumped_astray(const struct trap_frame *f)
{
	return f->vector == VEC_PF && read_cr2() == f->rip;
}

static void explain_page_fault(const struct trap_frame *f)
{
	const char *attempt = f->error & PF_WRITE ? "write to" : "read of";

	if (jumped_astray(f))
		attempt = "jump to";
	print(": %s 0x%lx, %s", attempt, read_cr2(),
	      f->error & PF_PRESENT ? "the page does not allow it" : "no page is there");
	if (read_cr2() < PAGE_SIZE)
		print(" (a null pointer?)");
}

static void explain(const struct trap_frame *f)
{
	const char *name = f->vector < ARRAY_SIZE(names) ? names[f->vector] : NULL;

	print("\nCasita broke: %s (vector 0x%lx)", name ? name : "nobody handles this trap",
	      f->vector);
	if (f->vector == VEC_PF)
		explain_page_fault(f);
	if (f->vector == VEC_DF && read_cr2() - (uintptr_t)boot_stack_guard < PAGE_SIZE)
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

/* ---- panic(), and the report of a trap ------------------------------------------------------- */

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

void report_trap(const struct trap_frame *f)
{
	if (lab_stopped)
		host_exit(HOST_EXIT_REFUSED);
	begin_report();
	explain(f);
	print_registers(f);
	print_symbol("  at ", f->rip, 0);
	if (jumped_astray(f)) /* a call left where it came from on the stack */
		print_symbol("  by ", *(const u64 *)hpa_ptr(HPA(f->rsp)), 1);
	backtrace(f->rbp, f->rsp);
	host_exit(HOST_EXIT_BROKEN);
}
