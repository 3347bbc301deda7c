/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spaces: many address spaces, and page tables that change under way (APM vol. 2 §5.3, §5.5). In
 * long mode; the 32-bit guest does it all in 32-bit paging first, and then in PAE.
 *
 * Each space shows the same GiB from WINDOW on differently: it has a directory and a page table of
 * its own there. They are written through the identity map, through aliases, through themselves, and
 * while another space is in use.
 *
 * What a VMM gets wrong here. With shadow paging: old translations survive MOV CR3 or INVLPG; a write
 * to a table is missed, because it came through another address, through a large page, or because the
 * page had been data before; a table is taken for what it was at another level. With nested paging
 * hardly anything.
 *
 * With the word forkstorm=N on its command line it does nothing but make N spaces: for `make bench`.
 *
 * Not asked: what an access sees between a change and its INVLPG; that is the processor's choice.
 */
#include "lib/paging.h"
#include "lib/probe.h"

CODE(read_byte, "mov (%" REG "si), %al");
CODE(write_byte, "movb $0x99, (%" REG "si)");

#define POOL   0x2800000ul /* memory for tables and frames, behind us */
#define FRAMES 32
#define SPACES 1000

struct space {
	reg_t cr3;
	void *directory; /* in which WINDOW is */
	void *table;	 /* the first one in it */
};

static enum paging_mode mode;
static const char *mode_name;
static struct space spaces[SPACES];
static unsigned space_count;
static u8 *next_page;
static reg_t first_cr3;
static u8 frames[FRAMES][PAGE_SIZE] __aligned(4096);

static const char *name(const char *what)
{
	static char text[64];
	size_t n = strlen(mode_name);

	memcpy(text, mode_name, n);
	memcpy(text + n, what, strlen(what) + 1);
	return text;
}

static void *new_page(void)
{
	void *p = next_page;

	next_page += PAGE_SIZE;
	return memset(p, 0, PAGE_SIZE);
}

/* An entry of a table, narrow or wide. */
static void put(void *table, unsigned i, u64 value)
{
	if (mode == PAGING_32)
		((volatile u32 *)table)[i] = value;
	else
		((volatile u64 *)table)[i] = value;
}

static u64 peek(const void *table, unsigned i)
{
	return mode == PAGING_32 ? ((const volatile u32 *)table)[i]
				 : ((const volatile u64 *)table)[i];
}

static unsigned directory_first(void)
{
	return mode == PAGING_32 ? WINDOW >> 22 : 0;
}

/* The tables above are copies of those that we started with. */
static struct space *new_space(void)
{
	struct space *s = &spaces[space_count++];
	void *root = memcpy(new_page(), (void *)(first_cr3 & ~0xffful), PAGE_SIZE);

	s->cr3 = (reg_t)root;
	s->directory = root;
	s->table = new_page();
	if (mode == PAGING_PAE) {
		memcpy(root, (void *)first_cr3, 32);
		s->directory = new_page();
		put(root, 1, (reg_t)s->directory | PTE_PRESENT);
	} else if (mode == PAGING_LONG) {
		void *pointers = new_page();

		memcpy(pointers, (void *)(reg_t)(peek(root, 0) & ~0xfffull), PAGE_SIZE);
		put(root, 0, (reg_t)pointers | PTE_ALL);
		s->directory = new_page();
		put(pointers, 1, (reg_t)s->directory | PTE_ALL);
	}
	put(s->directory, directory_first(), (reg_t)s->table | PTE_ALL);
	return s;
}

static void forget_spaces(void)
{
	write_cr3(first_cr3);
	next_page = (u8 *)POOL;
	space_count = 0;
	for (unsigned i = 0; i < FRAMES; i++)
		memset(frames[i], i, PAGE_SIZE);
}

static bool faults(const u8 *code, const u8 *p)
{
	struct state s = state_new();

	s.gpr[RSI] = (reg_t)p;
	probe(code, &s);
	return s.vector == VEC_PF;
}

static u8 look(unsigned page)
{
	return *(volatile u8 *)(window(page) + 7);
}

static void check_switches(void)
{
	struct space *a[8];
	unsigned good = 0;

	forget_spaces();
	for (unsigned i = 0; i < 8; i++) {
		a[i] = new_space();
		put(a[i]->table, 3, (reg_t)frames[i] | PTE_ALL);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 8; i++) {
			write_cr3(a[i]->cr3);
			good += look(3) == ((i + round) & 15);
			*(volatile u8 *)(window(3) + 100 + i) = round;
			barrier();
			good += frames[(i + round) & 15][100 + i] == round;
			/* not ours: another one's, which is not in use */
			put(a[(i + 7) & 7]->table, 3,
			    (reg_t)frames[((i + 7) & 7) + round + (i ? 1 : 0)] | PTE_ALL);
			put(a[i]->table, 3, (reg_t)frames[(i + round + 1) & 15] | PTE_ALL);
			put(a[(i + 7) & 7]->table, 3,
			    (reg_t)frames[(((i + 7) & 7) + round + (i ? 1 : 0)) & 15] | PTE_ALL);
		}
	}
	check_equal(name("cr3switch"), good, 320);
}

/* Random changes of random spaces, with a model of what they must show. */
static void check_churn(void)
{
	static u8 model[4][16];
	unsigned bad = 0, now = 0;
	u32 random = 12345;

	forget_spaces();
	memset(model, 0xff, sizeof(model));
	for (unsigned i = 0; i < 4; i++)
		new_space();
	write_cr3(spaces[0].cr3);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned space, slot, frame;

		random = random * 1103515245 + 12345;
		space = random >> 28 & 3, slot = random >> 20 & 15, frame = random >> 8 & 31;
		if ((random >> 16 & 7) == 0) {
			now = space;
			write_cr3(spaces[now].cr3);
		} else if ((random >> 16 & 7) < 4) {
			model[space][slot] = frame & 16 ? 0xff : frame;
			put(spaces[space].table, slot * 31,
			    frame & 16 ? 0 : (reg_t)frames[frame] | PTE_ALL);
			if (space == now)
				invlpg(window(slot * 31));
		} else if (model[now][slot] != 0xff) {
			bad += look(slot * 31) != model[now][slot];
		} else if ((random >> 16 & 7) == 7) {
			bad += !faults(read_byte, window(slot * 31));
		}
	}
	check_equal(name("table-churn"), bad, 0);
}

static void check_aliases(void)
{
	struct space *a;

	forget_spaces();
	a = new_space();
	write_cr3(a->cr3);
	put(a->table, 1, (reg_t)frames[1] | PTE_ALL);
	put(a->table, 2, (reg_t)frames[1] | PTE_PRESENT);
	put(a->table, 200, (reg_t)frames[1] | PTE_ALL);
	window(1)[7] = 0x55;
	barrier();
	check_equal(name("alias"), look(2) << 8 | look(200), 0x5555);
	write_cr0(read_cr0() | CR0_WP);
	check(name("alias-read-only"),
	      faults(write_byte, window(2)) && !faults(write_byte, window(200)));
	write_cr0(read_cr0() & ~CR0_WP);

	/* The page table itself, through one of its own pages. */
	put(a->table, 5, (reg_t)a->table | PTE_ALL);
	for (unsigned i = 0; i < 8; i++) {
		put(window(5), 6, (reg_t)frames[i] | PTE_ALL);
		invlpg(window(6));
		if (look(6) != (i == 1 ? 0x55 : i))
			fail(name("alias-table"));
	}
	/* Data becomes a table and data again. */
	put(frames[9], 0, (reg_t)frames[3] | PTE_ALL);
	put(a->directory, directory_first() + 2, (reg_t)frames[9] | PTE_ALL);
	check_equal(name("data-as-table"), look(mode == PAGING_32 ? 2048 : 1024), 3);
	put(frames[9], 0, (reg_t)frames[4] | PTE_ALL);
	invlpg(window(mode == PAGING_32 ? 2048 : 1024));
	check_equal(name("data-as-table-changed"), look(mode == PAGING_32 ? 2048 : 1024), 4);
	put(a->directory, directory_first() + 2, 0);
	invlpg(window(mode == PAGING_32 ? 2048 : 1024));
	memset(frames[9], 9, PAGE_SIZE);
	put(a->table, 9, (reg_t)frames[9] | PTE_ALL);
	check_equal(name("table-as-data"), look(9), 9);
}

/* A directory that is its own last table shows all tables as pages. */
static void check_recursive(void)
{
	unsigned last = mode == PAGING_32 ? 1023 : 511;
	u8 *tables = mode == PAGING_32 ? (u8 *)0xffc00000ul : (u8 *)WINDOW + 511ul * 0x200000;
	unsigned own = directory_first();
	struct space *a;

	forget_spaces();
	a = new_space();
	put(a->directory, last, (reg_t)a->directory | PTE_ALL);
	write_cr3(a->cr3);
	put(tables + own * PAGE_SIZE, 17, (reg_t)frames[5] | PTE_ALL);
	check_equal(name("recursive"), look(17), 5);
	check_equal(name("recursive-used"), peek(a->table, 17) & PTE_ACCESSED, PTE_ACCESSED);
	put(tables + own * PAGE_SIZE, 17, (reg_t)frames[6] | PTE_ALL);
	invlpg(window(17));
	check_equal(name("recursive-changed"), look(17), 6);
	/* the directory through itself: another table at once */
	put(frames[12], 17, (reg_t)frames[7] | PTE_ALL);
	put(tables + last * PAGE_SIZE, own, (reg_t)frames[12] | PTE_ALL);
	write_cr3(a->cr3);
	check_equal(name("recursive-directory"), look(17), 7);
	put(tables + last * PAGE_SIZE, last, 0);
	write_cr3(a->cr3);
	check(name("recursive-gone"), faults(read_byte, tables));
}

static void check_global(void)
{
	struct space *a, *b;

	forget_spaces();
	a = new_space();
	b = new_space();
	write_cr4(read_cr4() | CR4_PGE);
	put(a->table, 1, (reg_t)frames[1] | PTE_ALL | PTE_GLOBAL);
	put(b->table, 1, (reg_t)frames[1] | PTE_ALL | PTE_GLOBAL);
	write_cr3(a->cr3);
	look(1);
	put(a->table, 1, (reg_t)frames[2] | PTE_ALL | PTE_GLOBAL);
	put(b->table, 1, (reg_t)frames[2] | PTE_ALL | PTE_GLOBAL);
	invlpg(window(1));
	check_equal(name("global-invlpg"), look(1), 2);
	write_cr3(b->cr3);
	check_equal(name("global-other"), look(1), 2);
	put(b->table, 1, (reg_t)frames[3] | PTE_ALL | PTE_GLOBAL);
	write_cr4(read_cr4() & ~CR4_PGE);
	check_equal(name("global-off"), look(1), 3);
}

/* A large page over the very tables, and tables in the place of large pages. */
static void check_large(void)
{
	unsigned at = directory_first() + 1, first = mode == PAGING_32 ? 1024 : 512;
	reg_t size = mode == PAGING_32 ? 4u << 20 : 2u << 20;
	reg_t base = POOL & ~(size - 1);
	u8 *large = window(first);
	struct space *a;
	void *table;

	forget_spaces();
	a = new_space();
	table = new_page();
	write_cr3(a->cr3);
	put(a->directory, at, base | PTE_ALL | PTE_LARGE);
	for (unsigned i = 0; i < 8; i++) {
		put(large + ((reg_t)a->table - base), 40, (reg_t)frames[i] | PTE_ALL);
		invlpg(window(40));
		if (look(40) != i)
			fail(name("large-over-tables"));
	}
	check_equal(name("large-used"), peek(a->directory, at) & (PTE_ACCESSED | PTE_DIRTY),
		    PTE_ACCESSED | PTE_DIRTY);
	for (unsigned i = 0; i < 512; i++)
		put(table, i, (reg_t)frames[i % FRAMES] | PTE_ALL);
	put(a->directory, at, (reg_t)table | PTE_ALL);
	write_cr3(a->cr3);
	check_equal(name("large-to-small"), look(first + 33) << 8 | look(first + 511), 1 << 8 | 31);
	put(a->directory, at, ((reg_t)frames & ~(size - 1)) | PTE_ALL | PTE_LARGE);
	invlpg(large);
	check_equal(name("small-to-large"), large[((reg_t)frames[20] & (size - 1)) + 9], 20);
}

/* One more space each time, all of them visited. */
static void check_storm(unsigned count)
{
	unsigned sum = 0;

	forget_spaces();
	for (unsigned i = 0; i < count; i++) {
		struct space *a = new_space();

		put(a->table, i % 512, (reg_t)frames[i % FRAMES] | PTE_ALL);
		write_cr3(a->cr3);
		sum += look(i % 512);
		write_cr3(spaces[i / 2].cr3);
		sum += look(i / 2 % 512);
	}
	for (unsigned i = 0; i < count; i++)
		sum -= i % FRAMES + i / 2 % FRAMES;
	check_equal(name("forkstorm"), (u64)count << 32 | sum, (u64)count << 32);
}

/* The N of forkstorm=N, or -1. */
static int wanted_storm(void)
{
	const char *at = boot_word("forkstorm=");
	int n = 0;

	if (!at)
		return -1;
	while (*at >= '0' && *at <= '9')
		n = n * 10 + *at++ - '0';
	return n < SPACES ? n : SPACES;
}

static void only_storm(unsigned count)
{
	mode_name = "";
	mode = sizeof(reg_t) == 8 ? PAGING_LONG : PAGING_PAE;
	paging_start(mode);
	first_cr3 = read_cr3();
	check_storm(count);
	answer("tables", (next_page - (u8 *)POOL) / PAGE_SIZE);
	write_cr3(first_cr3);
}

static void check_all(const char *prefix, enum paging_mode new_mode)
{
	mode_name = prefix;
	mode = new_mode;
	paging_start(mode);
	first_cr3 = read_cr3();
	check_switches();
	check_churn();
	check_aliases();
	check_recursive();
	check_global();
	check_large();
	check_storm(10);
	check_storm(100);
	check_storm(SPACES);
	forget_spaces();
}

void guest(void)
{
	int storm = wanted_storm();

	if (storm >= 0) {
		only_storm(storm);
		return;
	}
#ifdef __x86_64__
	check_all("", PAGING_LONG);
#else
	check_all("", PAGING_32);
	check_all("pae-", PAGING_PAE);
	paging_start(PAGING_OFF);
#endif
}
