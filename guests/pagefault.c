/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pagefault: paging as the guest sees it: #PF with its error code and CR2, access rights, accessed
 * and dirty bits, large pages (APM vol. 2 chapter 5, §8.4.2). Also instructions that a VMM emulates
 * and that touch memory through the guest's page tables. In long mode; the 32-bit guest does it
 * all in 32-bit paging first, and then in PAE.
 *
 * What a VMM gets wrong here. With shadow paging, nearly everything: faults that are the guest's
 * own kept from it, or its bits not set. With nested paging the processor does it all, but for the
 * instructions that the VMM emulates: it must fetch them from where the guest's tables say, it must
 * walk those tables for INS and OUTS with the guest's rights, raise #PF with the right CR2 in the
 * middle of the string, and leave RCX and RSI where they were at that moment.
 *
 * Not asked, because QEMU's own processor does it differently: the error code of an instruction
 * that reads and writes an absent page (it says read), and bit 0 with a reserved bit (it says 0).
 */
#include "lib/paging.h"
#include "lib/probe.h"

CODE(read_byte, "mov (%" REG "si), %al");
CODE(read_long, "mov (%" REG "si), %eax");
CODE(write_byte, "movb $0x99, (%" REG "si)");
CODE(write_long, "movl $0x99887766, (%" REG "si)");
CODE(jump, "jmp *%" REG "si");
CODE(rep_outsb, "rep outsb");
CODE(rep_insb, "rep insb");

#define PORT_NONE 0x3a00
#define PORT_TEXT 0xe9 /* reads as e9 */

static u8 frames[4][PAGE_SIZE] __aligned(4096);
static const char *mode_name;

/* Answers are named after the paging mode, too: one guest may run in two. */
static const char *name(const char *what)
{
	static char text[64];
	size_t n = strlen(mode_name);

	memcpy(text, mode_name, n);
	memcpy(text + n, what, strlen(what) + 1);
	return text;
}

/* Access @at by @code: the #PF's error code, and CR2 as a distance from @at. */
static void fault(const char *what, const u8 *code, u8 *at, bool user, u16 error, u32 cr2_offset)
{
	struct state before = user ? state_new_user() : state_new(), s;

	before.gpr[RSI] = before.gpr[RDI] = (reg_t)at;
	s = before;
	probe(code, &s);
	if (s.error & PF_RESERVED)
		s.error &= ~PF_PRESENT;
	check_equal(name(what),
		    (u64)s.vector << 48 | (u64)s.error << 32 |
			    (u64) !!registers_changed(&before, &s) << 63 | (u32)(s.cr2 - (reg_t)at),
		    (u64)VEC_PF << 48 | (u64)error << 32 | cr2_offset);
}

/* Access @at by @code, which works. */
static void works(const char *what, const u8 *code, const u8 *end, u8 *at, bool user)
{
	struct state s = user ? state_new_user() : state_new();

	s.gpr[RSI] = (reg_t)at;
	probe(code, &s);
	check(name(what), s.vector == VEC_BP && s.rip == (reg_t)end + 1);
}
#define WORKS(what, name, at, user) works(what, name, name##_end, at, user)

static void check_absent(void)
{
	u8 *p = window(5) + 0x123;

	fault("absent-read", read_byte, p, false, 0, 0);
	fault("absent-write", write_byte, p, false, PF_WRITE, 0);
	fault("absent-read-ring3", read_byte, p, true, PF_USER, 0);
	fault("absent-write-ring3", write_byte, p, true, PF_USER | PF_WRITE, 0);
	fault("absent-fetch", jump, p, false, 0, 0);

	/* The second half of an access is on an absent page. */
	window_map(4, frames[0], PTE_ALL);
	fault("across-read", read_long, window(5) - 1, false, 0, 1);
	fault("across-write", write_long, window(5) - 3, false, PF_WRITE, 3);
	check_equal(name("across-unwritten"), frames[0][PAGE_SIZE - 3], 0);
	window_map(4, NULL, 0);
}

static void check_rights(void)
{
	u8 *p = window(6) + 0x456;

	window_map(6, frames[1], PTE_PRESENT | PTE_USER);
	WORKS("read-only-read", read_byte, p, true);
	fault("read-only-write-ring3", write_byte, p, true, PF_PRESENT | PF_WRITE | PF_USER, 0);
	write_cr0(read_cr0() & ~CR0_WP);
	WORKS("read-only-write-no-wp", write_byte, p, false);
	check_equal(name("read-only-written"), frames[1][0x456], 0x99);
	write_cr0(read_cr0() | CR0_WP);
	fault("read-only-write-wp", write_byte, p, false, PF_PRESENT | PF_WRITE, 0);
	write_cr0(read_cr0() & ~CR0_WP);

	window_map(6, frames[1], PTE_PRESENT | PTE_WRITE);
	fault("supervisor-read-ring3", read_byte, p, true, PF_PRESENT | PF_USER, 0);
	fault("supervisor-write-ring3", write_byte, p, true, PF_PRESENT | PF_WRITE | PF_USER, 0);
	WORKS("supervisor-write", write_byte, p, false);
}

/* Only where entries have 64 bits. */
static void check_nx(void)
{
	u8 *p = window(7);

	window_map(7, frames[2], PTE_ALL | PTE_NX); /* a reserved bit while EFER.NXE is clear */
	fault("nx-reserved", read_byte, p, false, PF_RESERVED, 0);
	window_map(7, frames[2], PTE_ALL | BIT(51)); /* more address than anyone has */
	fault("address-reserved", write_byte, p, false, PF_RESERVED | PF_WRITE, 0);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	window_map(7, frames[2], PTE_ALL | PTE_NX);
	WORKS("nx-read", read_byte, p, false);
	fault("nx-fetch", jump, p, false, PF_PRESENT | PF_FETCH, 0);
	fault("nx-fetch-ring3", jump, p, true, PF_PRESENT | PF_FETCH | PF_USER, 0);
	fault("absent-fetch-nxe", jump, window(8), false, PF_FETCH, 0);
	window_map(7, NULL, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
}

static u64 used(u64 entry)
{
	return entry & (PTE_ACCESSED | PTE_DIRTY);
}

static void check_used_bits(void)
{
	u8 *p = window(9);

	window_map(9, frames[0], PTE_ALL);
	check_equal(name("used-before"), used(window_entry(9)), 0);
	WORKS("used-read", read_byte, p, false);
	check_equal(name("used-read-bits"), used(window_entry(9)), PTE_ACCESSED);
	WORKS("used-write", write_byte, p, false);
	check_equal(name("used-write-bits"), used(window_entry(9)), PTE_ACCESSED | PTE_DIRTY);
	check_equal(name("used-directory"), window_directory_entry() & PTE_ACCESSED, PTE_ACCESSED);

	/* Cleared, and INVLPG: set again by the next access. */
	window_map(9, frames[0], PTE_ALL);
	WORKS("used-ring3", write_byte, p, true);
	check_equal(name("used-ring3-bits"), used(window_entry(9)), PTE_ACCESSED | PTE_DIRTY);
	/* An access that faults sets nothing. */
	window_map(9, frames[0], PTE_PRESENT | PTE_WRITE);
	fault("used-fault", read_byte, p, true, PF_PRESENT | PF_USER, 0);
	check_equal(name("used-fault-bits"), used(window_entry(9)) & PTE_DIRTY, 0);
}

static void check_mapping(void)
{
	u8 *a = window(20), *b = window(400);
	unsigned good = 0;

	/* Two addresses, one frame; then the same addresses, other frames. */
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
		memset(frames[i], 0x10 + i, PAGE_SIZE);
		window_map(20, frames[i], PTE_ALL);
		window_map(400, frames[i], PTE_ALL);
		good += a[0] == 0x10 + i && b[4095] == 0x10 + i;
		a[77] = 0xee;
		barrier();
		good += b[77] == 0xee && frames[i][77] == 0xee;
	}
	check_equal(name("mapping"), good, 2 * ARRAY_SIZE(frames));

	/* A new CR3, even with the same value, forgets old translations. */
	window_map(20, frames[0], PTE_ALL);
	good = a[5];
	window_map(20, frames[3], PTE_ALL);
	write_cr3(read_cr3());
	check_equal(name("mapping-cr3"), good << 8 | a[5], 0x1013);
}

static void check_large(void)
{
	u8 *p = large_page(), *real = (u8 *)0x2000000; /* we ourselves, in large pages' steps */

	large_map((reg_t)real, PTE_ALL);
	check(name("large-same"), !memcmp(p, real, 64));
	frames[0][1] = 0xab;
	check_equal(name("large-inside"), p[(reg_t)&frames[0][1] - (reg_t)real], 0xab);
	WORKS("large-write", write_byte, p + ((reg_t)frames[0] - (reg_t)real), true);
	check_equal(name("large-used"), used(large_entry()), PTE_ACCESSED | PTE_DIRTY);
	large_map((reg_t)real, PTE_PRESENT);
	fault("large-ring3", read_byte, p + 0x54321, true, PF_PRESENT | PF_USER, 0);
	large_map(0, 0);
	fault("large-absent", read_byte, p + 0x54321, false, 0, 0);
}

static unsigned fills;

static void fill(struct trap *t)
{
	reg_t page = (read_cr2() - WINDOW) / PAGE_SIZE;

	if (t->vector != VEC_PF || page < 100 || page >= 104) {
		fail("demand-address");
		finish(1);
	}
	window_map(page, frames[page - 100], PTE_ALL);
	fills++;
}

/* Demand paging: the handler maps, and the instruction runs again. */
static void check_demand(void)
{
	fills = 0;
	trap_catch(fill);
	for (unsigned i = 0; i < 4 * PAGE_SIZE; i++)
		window(100)[i] = i >> 4;
	trap_catch(NULL);
	check_equal(name("demand-faults"), fills, 4);
	check(name("demand-memory"), frames[0][0x120] == 0x12 && frames[3][0xff0] == 0xff);
}

/* String I/O over 10 bytes of a page and then an absent one. */
static void string_fault(const char *what, const u8 *code, bool user, u64 flags, u16 error)
{
	struct state s = user ? state_new_user() : state_new();
	reg_t at = (reg_t)window(31) - 10;

	if (user)
		s.flags |= 3 * FLAGS_IOPL;
	window_map(30, frames[0], PTE_ALL);
	window_map(31, frames[1], flags);
	s.gpr[RDX] = code == rep_insb ? PORT_TEXT : PORT_NONE;
	s.gpr[RSI] = s.gpr[RDI] = at;
	s.gpr[RCX] = 30;
	probe(code, &s);
	check_equal(name(what),
		    fault_number(s.vector, s.error, s.rip - (reg_t)code) |
			    (u64)(s.gpr[RCX] & 0xff) << 40 |
			    (u64)(s.gpr[code == rep_insb ? RDI : RSI] - at) << 48 |
			    (u64)(s.cr2 == at + 10) << 60,
		    fault_number(VEC_PF, error, 0) | 20ull << 40 | 10ull << 48 | BIT(60));
}

static void check_strings(void)
{
	struct state s = state_new();

	string_fault("outs-absent", rep_outsb, false, 0, 0);
	string_fault("outs-ring3", rep_outsb, true, PTE_PRESENT, PF_PRESENT | PF_USER);
	string_fault("ins-absent", rep_insb, false, 0, PF_WRITE);
	check_equal(name("ins-before"), frames[0][PAGE_SIZE - 1], 0xe9);
	write_cr0(read_cr0() | CR0_WP);
	string_fault("ins-read-only", rep_insb, false, PTE_PRESENT, PF_PRESENT | PF_WRITE);
	write_cr0(read_cr0() & ~CR0_WP);
	string_fault("ins-ring3", rep_insb, true, PTE_PRESENT | PTE_USER,
		     PF_PRESENT | PF_WRITE | PF_USER);

	/* And over two pages whose frames are not neighbours. */
	window_map(31, frames[3], PTE_ALL);
	memset(frames, 0, sizeof(frames));
	s.gpr[RDX] = PORT_TEXT;
	s.gpr[RDI] = (reg_t)window(31) - 10;
	s.gpr[RCX] = 30;
	probe(rep_insb, &s);
	check(name("ins-two-frames"), ran_to_end(rep_insb, &s) &&
					      frames[0][PAGE_SIZE - 10] == 0xe9 &&
					      frames[3][19] == 0xe9 && frames[3][20] == 0);
	check(name("ins-dirty"), window_entry(31) & PTE_DIRTY);
}

/* Code at a virtual address of its own, one instruction lying in two frames. */
static void check_fetch(void)
{
	static const u8 code[] = {0x66, 0x66, 0x66, 0x0f, 0xa2, 0xe6, 0xe4, 0xe4, 0xe9, 0xcc};
	struct state s = state_new();
	struct cpuid r = cpuid(0, 0);

	memset(frames, 0xcc, sizeof(frames));
	memcpy(frames[2] + PAGE_SIZE - 4, code, 4);
	memcpy(frames[1], code + 4, sizeof(code) - 4);
	window_map(40, frames[2], PTE_ALL);
	window_map(41, frames[1], PTE_ALL);
	s.gpr[RAX] = s.gpr[RCX] = 0;
	probe(window(41) - 4, &s);
	check_equal(name("fetch"), fault_number(s.vector, s.error, s.rip - WINDOW),
		    fault_number(VEC_BP, 0, 41 * PAGE_SIZE + 6));
	check(name("fetch-results"),
	      s.gpr[RBX] == r.ebx && s.gpr[RDX] == r.edx && (s.gpr[RAX] & 0xff) == 0xe9);
}

static void check_all(const char *prefix, bool wide)
{
	mode_name = prefix;
	memset(frames, 0, sizeof(frames));
	barrier();
	check_absent();
	check_rights();
	if (wide)
		check_nx();
	check_used_bits();
	check_mapping();
	check_large();
	check_demand();
	check_strings();
	check_fetch();
}

void guest(void)
{
#ifdef __x86_64__
	paging_start(PAGING_LONG);
	check_all("", true);
#else
	paging_start(PAGING_32);
	check_all("", false);
	paging_start(PAGING_PAE);
	check_all("pae-", true);
	paging_start(PAGING_OFF);
#endif
}
