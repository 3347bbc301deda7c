/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protect: what a supervisor may do with pages, under all of CR0.WP, EFER.NXE, SMEP and SMAP (APM
 * vol. 2 §5.6; SDM vol. 3A §4.6.1).
 *
 * For each setting of the four, each kind of page (user's or not, writable or not, executable or
 * not) and each access (read, write, fetch; by ring 0 and ring 3; RFLAGS.AC clear and set), the
 * error code of the #PF, or none, is worked out here from the manuals and compared.
 *
 * What a VMM gets wrong here: with shadow paging, CR0.WP = 0, because its own read-only pages must
 * hold; and with SMEP it is easily forgotten that such a page is still the user's.
 *
 * Not asked: a supervisor's access to a user's read-only page after a write with CR0.WP clear and
 * RFLAGS.AC set, SMAP being on; each probe starts from CR3 anew.
 */
#include "lib/paging.h"
#include "lib/probe.h"

CODE(read_byte, "mov (%" REG "si), %al");
CODE(write_byte, "movb $0xcc, (%" REG "si)");
CODE(jump, "jmp *%" REG "si");

#define FLAGS_AC     BIT(18)
#define CR4_SMEP     BIT(20)
#define CR4_SMAP     BIT(21)
#define EBX_SMEP     BIT(7)
#define EBX_SMAP     BIT(20)
#define EDX_NX	     BIT(20)

#define SET_WP	     BIT(0)
#define SET_NXE	     BIT(1)
#define SET_SMEP     BIT(2)
#define SET_SMAP     BIT(3)

#define ACCESS_READ  0
#define ACCESS_WRITE 1
#define ACCESS_FETCH 2
#define NO_FAULT     0xffff

extern u64 boot_pd[]; /* maps the first GiB, us included */

static u8 frame[PAGE_SIZE] __aligned(4096);

static u16 expected(unsigned set, u64 pte, unsigned access, bool user, bool ac)
{
	bool users = pte & PTE_USER, bad = false;
	u16 error = PF_PRESENT;

	if (user && !users)
		bad = true;
	if (access == ACCESS_WRITE && !(pte & PTE_WRITE) && (user || set & SET_WP))
		bad = true;
	if (access == ACCESS_FETCH && pte & PTE_NX)
		bad = true;
	if (access == ACCESS_FETCH && !user && users && set & SET_SMEP)
		bad = true;
	if (access != ACCESS_FETCH && !user && users && set & SET_SMAP && !ac)
		bad = true;
	if (!bad)
		return NO_FAULT;
	error |= access == ACCESS_WRITE ? PF_WRITE : 0;
	error |= user ? PF_USER : 0;
	if (access == ACCESS_FETCH && set & (SET_NXE | SET_SMEP))
		error |= PF_FETCH;
	return error;
}

static u16 found(u64 pte, unsigned access, bool user, bool ac)
{
	static const u8 *const codes[] = {read_byte, write_byte, jump};
	struct state s = user ? state_new_user() : state_new();
	u8 *page = window(3);

	window_map(3, frame, pte);
	s.gpr[RSI] = (reg_t)page;
	if (ac)
		s.flags |= FLAGS_AC;
	probe(codes[access], &s);
	if (s.vector == VEC_BP)
		return NO_FAULT;
	return s.vector == VEC_PF && s.cr2 == (reg_t)page ? s.error : 0xfffe;
}

static unsigned cases, wrong;

/*
 * With SMEP or SMAP on, we cannot live in pages that are the user's, too; and then ring 3 cannot run.
 */
static void own_pages(bool users)
{
	for (unsigned i = 0; i < 512; i++)
		boot_pd[i] = users ? boot_pd[i] | PTE_USER : boot_pd[i] & ~PTE_USER;
	write_cr3(read_cr3());
}

static void check_setting(unsigned set)
{
	bool ring3 = !(set & (SET_SMEP | SET_SMAP));

	for (unsigned i = 0; i < 8 * 3 * 4; i++) {
		u64 pte = PTE_PRESENT | (i & 1 ? PTE_WRITE : 0) | (i & 2 ? PTE_USER : 0) |
			  (i & 4 && set & SET_NXE ? PTE_NX : 0);
		unsigned access = i / 8 % 3;
		bool user = i / 24 & 1, ac = i / 48 & 1;
		u16 want = expected(set, pte, access, user, ac), got;

		if (user && !ring3)
			continue;
		got = found(pte, access, user, ac);
		cases++;
		if (got != want && ++wrong < 10)
			say("FAIL setting %x pte %llx access %u user %u ac %u: %x, expected %x\n",
			    set, pte, access, user, ac, got, want);
	}
}

/* The same page again and again without INVLPG: a supervisor writes to it, a user looks at it. */
static void check_no_wp(void)
{
	struct state s;
	unsigned good = 0;

	write_cr0(read_cr0() & ~CR0_WP);
	window_map(5, frame, PTE_PRESENT | PTE_USER);
	for (unsigned i = 0; i < 10; i++) {
		s = state_new();
		s.gpr[RSI] = (reg_t)window(5);
		probe(write_byte, &s);
		good += s.vector == VEC_BP;
		s = state_new_user();
		s.gpr[RSI] = (reg_t)window(5);
		probe(i & 1 ? read_byte : write_byte, &s);
		good += i & 1 ? s.vector == VEC_BP
			      : s.vector == VEC_PF && s.error == (PF_PRESENT | PF_WRITE | PF_USER);
	}
	check_equal("no-wp-turns", good, 20);
}

void guest(void)
{
	struct cpuid seven = cpuid(7, 0);
	bool smep = seven.ebx & EBX_SMEP, smap = seven.ebx & EBX_SMAP;
	reg_t cr0 = read_cr0(), cr4 = read_cr4();

	paging_start(PAGING_LONG);
	memset(frame, 0xcc, sizeof(frame));
	for (unsigned set = 0; set < 16; set++) {
		if ((set & SET_SMEP && !smep) || (set & SET_SMAP && !smap))
			continue;
		window_map(3, NULL, 0);
		wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~EFER_NXE) | (set & SET_NXE ? EFER_NXE : 0));
		write_cr0((cr0 & ~CR0_WP) | (set & SET_WP ? CR0_WP : 0));
		own_pages(!(set & (SET_SMEP | SET_SMAP)));
		write_cr4(cr4 | (set & SET_SMEP ? CR4_SMEP : 0) | (set & SET_SMAP ? CR4_SMAP : 0));
		check_setting(set);
		write_cr4(cr4);
	}
	own_pages(true);
	check_equal("wrong", wrong, 0);
	answer("cases", cases);
	check_no_wp();
}
