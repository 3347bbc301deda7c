/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * isolation: a guest that looks for what is not its own. It asks for physical addresses beyond its RAM,
 * where in a VM its VMM lies, and other VMs do: by small pages, by large ones, by tables full of such
 * entries, through tables that show themselves, and with tables that an instruction changes while it
 * runs on them. In 32-bit code first without paging, and then in 32-bit paging and in PAE.
 *
 * Beyond its RAM it must find an empty bus: ones, or zeroes as in bare QEMU, whatever it writes there;
 * and whatever it does, its own RAM must stay what it has written. Nothing else is ever right, and in a
 * VM something else is the VMM's own memory.
 *
 * What a VMM gets wrong here. With shadow paging: it believes an entry of the guest's that it happens to
 * look at beforehand, without asking whether there is RAM; it shows its own tables in the place of the
 * guest's. With nested paging: an entry too many, at the end of RAM or above 4 GiB.
 *
 * Not asked: page tables that lie beyond the RAM themselves, which end a VM: that is `outside`. Devices
 * between 3 and 4 GiB, which one machine has and another has not. INS and OUTS with memory that is none:
 * that ends a VM, too. What is in RAM before anybody has written it: traces of the firmware.
 */
#include "lib/paging.h"
#include "lib/probe.h"

#define MIB	   0x100000ull
#define GIB	   0x40000000ull
#define DEVICES	   (3 * GIB) /* from here to 4 GiB */
#define STAMP	   0x5ca1ab1eu
#define FRAME_MASK 0xfffff000u

CODE(read_byte, "mov (%" REG "si), %al");

extern u8 end[]; /* of the image: guest.lds */

static enum paging_mode mode;
static const char *mode_name;
static u64 ram_end;		/* where RAM ends, and nothing begins */
static u64 first_own, last_own; /* the RAM that we fill and watch, behind the image */
static unsigned scanned, foreign, kept;
static u8 own[PAGE_SIZE] __aligned(4096), source[2 * PAGE_SIZE] __aligned(4096);

static const char *name(const char *what)
{
	static char text[64];
	size_t n = strlen(mode_name);

	memcpy(text, mode_name, n);
	memcpy(text + n, what, strlen(what) + 1);
	return text;
}

/* ---- our own RAM ------------------------------------------------------------------------------- */

/* Multiboot 1 §3.3: bit 0 of the flags: at 8, how many KiB there are from 1 MiB on. A PC's firmware
 * keeps the last of them. */
static void find_ram(void)
{
	const u32 *info = (const u32 *)(reg_t)boot_info;
	u64 last = MIB + info[2] * 1024ull;

	check("memory-known", info[0] & BIT(0));
	ram_end = (last + MIB - 1) & ~(MIB - 1);
	first_own = ((reg_t)end + MIB) & ~(MIB - 1);
	last_own = last & ~(u64)(PAGE_SIZE - 1);
}

/* Two words of each page, that no other page has. */
static u32 *own_words(u64 page)
{
	return (u32 *)(reg_t)page;
}

static void fill_own(void)
{
	for (u64 page = first_own; page < last_own; page += PAGE_SIZE) {
		own_words(page)[0] = (u32)page ^ STAMP;
		own_words(page)[1023] = (u32)page + STAMP;
	}
}

static void check_own(const char *what)
{
	unsigned changed = 0;

	for (u64 page = first_own; page < last_own; page += PAGE_SIZE)
		changed += own_words(page)[0] != ((u32)page ^ STAMP) ||
			   own_words(page)[1023] != (u32)page + STAMP;
	check_equal(name(what), changed, 0);
}

/* ---- looking ----------------------------------------------------------------------------------- */

static bool floats(u32 word)
{
	return word == 0 || word == ~0u;
}

/* Read, write, read again. Only the first of those that are wrong is said, for people. */
static void look(volatile u32 *p, u64 physical)
{
	u32 before = *p, after;

	*p = STAMP;
	after = *p;
	scanned++;
	if (!floats(before) && !foreign++)
		say("at %llx: %x\n", physical, before);
	kept += after == STAMP;
}

static void tell(const char *what)
{
	answer(name(what), scanned);
	check_equal(name("foreign"), foreign, 0);
	check_equal(name("kept"), kept, 0);
	scanned = foreign = kept = 0;
}

/* ---- tables ------------------------------------------------------------------------------------ */

static void put(void *table, unsigned i, u64 value)
{
	if (mode == PAGING_32)
		((volatile u32 *)table)[i] = value;
	else
		((volatile u64 *)table)[i] = value;
}

static unsigned entries(void)
{
	return mode == PAGING_32 ? 1024 : 512;
}

static void *window_table(void)
{
	return (void *)(reg_t)(window_directory_entry() & FRAME_MASK);
}

#ifdef __x86_64__
extern u64 boot_pdpt[];
#endif

/* The directory that the window is in, and the window's place there. */
static void *directory(void)
{
#ifdef __x86_64__
	return (void *)(boot_pdpt[1] & ~0xfffull);
#else
	reg_t cr3 = read_cr3();

	return (void *)(mode == PAGING_32 ? cr3 : ((u32 *)cr3)[2] & FRAME_MASK);
#endif
}

static unsigned directory_first(void)
{
	return mode == PAGING_32 ? WINDOW >> 22 : 0;
}

static void flush(void)
{
	write_cr3(read_cr3());
}

static unsigned physical_bits(void)
{
	if (mode == PAGING_32 || mode == PAGING_OFF)
		return 32;
	return cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
}

/* ---- the scan ---------------------------------------------------------------------------------- */

static u64 batch[WINDOW_PAGES / 2]; /* only even pages of the window: the others stay empty */
static unsigned batched;

static void look_at_batch(void)
{
	for (unsigned i = 0; i < batched && mode != PAGING_OFF; i++)
		put(window_table(), 2 * i, batch[i] | PTE_ALL);
	if (mode != PAGING_OFF)
		flush();
	for (unsigned i = 0; i < batched; i++) {
		u8 *page = mode == PAGING_OFF ? (u8 *)(reg_t)batch[i] : window(2 * i);

		look((u32 *)(page + (i * 52 & 0xffc)), batch[i]);
	}
	batched = 0;
}

static void scan(u64 from, u64 to, u64 step)
{
	for (u64 at = from; at < to; at += step) {
		batch[batched++] = at & ~(u64)(PAGE_SIZE - 1);
		if (batched == ARRAY_SIZE(batch))
			look_at_batch();
	}
	look_at_batch();
}

static void check_scan(void)
{
	scan(ram_end, ram_end + 4 * MIB, PAGE_SIZE);
	scan(ram_end + 4 * MIB, DEVICES, MIB + 3 * PAGE_SIZE);
	for (unsigned bit = 32; bit < physical_bits(); bit++) {
		scan(BIT(bit), BIT(bit) + 2 * MIB, MIB / 2);
		scan(BIT(bit) + ram_end - 2 * PAGE_SIZE, BIT(bit) + ram_end + PAGE_SIZE, PAGE_SIZE);
	}
	tell("scanned");
	check_own("own-after-scan");
}

static void check_large(void)
{
	u64 size = mode == PAGING_32 ? 4 * MIB : 2 * MIB;

	for (u64 at = ram_end; at < DEVICES; at += at < ram_end + 64 * MIB ? size : 61 * size) {
		large_map(at & ~(size - 1), PTE_ALL);
		for (unsigned i = 0; i < 4; i++)
			look((u32 *)(large_page() + i * (size / 4) + i * 1028), at);
	}
	large_map(0, 0);
#ifdef __x86_64__
	/* One page of a GiB that begins with our RAM and goes on beyond it. */
	if (cpuid(0x80000001, 0).edx & BIT(26)) {
		boot_pdpt[2] = PTE_ALL | PTE_LARGE;
		flush();
		if (*(u32 *)(2 * GIB + last_own - PAGE_SIZE) != own_words(last_own - PAGE_SIZE)[0])
			fail("large-own");
		for (u64 at = ram_end; at < GIB; at += 7 * MIB)
			look((u32 *)(2 * GIB + at), at);
		boot_pdpt[2] = 0;
		flush();
	}
	scanned = 0; /* not every processor has such pages */
#endif
	tell("large");
	check_own("own-after-large");
}

/*
 * Entries that say "accessed and dirty", as though they had been used already. Who shadows tables may
 * take such an entry's word for it, when it looks at the table because of its neighbour (so it does
 * here only where CR0.WP is set), or because it had a translation of what was in its place before.
 */
#define USED	(PTE_ALL | PTE_ACCESSED | PTE_DIRTY)
#define OURS(i) ((i) % 8 == 3)

static u64 out(unsigned i)
{
	return ram_end + i * 257ull * PAGE_SIZE;
}

static void look_out(bool ours_too)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		if (ours_too || !OURS(i))
			look((u32 *)(window(i) + i * 4), out(i));
	}
}

static void check_pages(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		put(window_table(), i, (OURS(i) ? (reg_t)own : out(i)) | USED);
	flush();
	for (unsigned i = 3; i < WINDOW_PAGES; i += 8)
		*(volatile u32 *)window(i) = i;
	check_equal(name("own-by-neighbour"), *(u32 *)own, WINDOW_PAGES - 5);
	look_out(false);
	for (unsigned i = 3; i < WINDOW_PAGES; i += 8)
		put(window_table(), i, out(i) | USED);
	flush();
	look_out(true);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		put(window_table(), i, 0);
}

/* Large pages, and between them tables that are outside, and that we have not looked through yet. */
static void check_directory(void)
{
	reg_t size = mode == PAGING_32 ? 4 * MIB : 2 * MIB;
	unsigned first = directory_first();

	for (unsigned i = 2; i < 100; i++)
		put(directory(), first + i,
		    (ram_end + i * 4 * MIB) | USED | (i & 1 ? PTE_LARGE : 0));
	flush();
	for (unsigned i = 3; i < 100; i += 2)
		look((u32 *)(WINDOW + i * size + i * 4), ram_end + i * 4 * MIB);
	for (unsigned i = 2; i < 100; i++)
		put(directory(), first + i, 0);
	flush();
}

static void check_neighbours(void)
{
	check_pages();
	write_cr0(read_cr0() | CR0_WP);
	check_pages();
	check_directory();
	write_cr0(read_cr0() & ~CR0_WP);
	check_directory();
	tell("neighbours");
	check_own("own-after-neighbours");
}

/* Address bits that no machine has, in entries that say that they have been used. */
static void check_reserved(void)
{
	unsigned good = 0;

	if (mode == PAGING_32)
		return;
	put(window_table(), 8, (reg_t)own | USED);
	for (unsigned i = 9; i < 16; i++)
		put(window_table(), i, BIT(51) | (ram_end + i * MIB) | USED);
	flush();
	*(volatile u8 *)window(8) = 1;
	for (unsigned i = 9; i < 16; i++) {
		struct state s = state_new();

		s.gpr[RSI] = (reg_t)window(i);
		probe(read_byte, &s);
		good += s.vector == VEC_PF && s.cr2 == (reg_t)window(i) && s.error & PF_RESERVED;
		put(window_table(), i, 0);
	}
	put(window_table(), 8, 0);
	flush();
	check_equal(name("reserved"), good, 7);
}

/* Tables that show themselves, as pages: ours, and not those that a VMM has made of them. */
static void check_mirrors(void)
{
	unsigned last = entries() - 1, different = 0;
	u8 *tables = mode == PAGING_32 ? (u8 *)0xffc00000ul : (u8 *)WINDOW + 511ul * 0x200000;

	put(window_table(), 5, (reg_t)window_table() | PTE_ALL);
	put(window_table(), 6, (reg_t)directory() | PTE_ALL);
	put(directory(), last, (reg_t)directory() | PTE_ALL);
	flush();
	*(volatile u32 *)window(5); /* from here on no bit of theirs changes any more */
	*(volatile u32 *)window(6);
	*(volatile u32 *)(tables + last * PAGE_SIZE);
	*(volatile u32 *)(tables + directory_first() * PAGE_SIZE);
	different += !!memcmp(window(5), window_table(), PAGE_SIZE);
	different += !!memcmp(window(6), directory(), PAGE_SIZE);
	different += !!memcmp(tables + last * PAGE_SIZE, directory(), PAGE_SIZE);
	different += !!memcmp(tables + directory_first() * PAGE_SIZE, window_table(), PAGE_SIZE);
	check_equal(name("mirrors"), different, 0);

	/* And through them an entry that leads out. */
	for (unsigned i = 0; i < 64; i++) {
		put(i & 1 ? window(5) : tables + directory_first() * PAGE_SIZE, 10, out(i) | USED);
		invlpg(window(10));
		look((u32 *)window(10), out(i));
		put(i & 2 ? window(5) : tables + directory_first() * PAGE_SIZE, 10,
		    (reg_t)own | USED);
		invlpg(window(10));
		*(volatile u32 *)window(10) = i;
		if (*(volatile u32 *)own != i)
			fail(name("own-by-mirror"));
	}
	tell("by-mirrors");
	put(directory(), last, 0);
	put(window_table(), 5, 0);
	put(window_table(), 6, 0);
	put(window_table(), 10, 0);
	flush();
}

static void copy_words(void *to, const void *from, reg_t count)
{
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

/*
 * One instruction writes a page table through a page of its own, and goes on into the next page, whose
 * entry it has written itself a moment ago: our own page the first time, and then one that leads out.
 */
static void check_moving(void)
{
	u64 there = ram_end + 5 * MIB;

	for (unsigned round = 0; round < 3; round++) {
		u64 next = round ? there + round * PAGE_SIZE : (reg_t)own;

		memset(own, 0x11, sizeof(own));
		memset(source, 0, PAGE_SIZE);
		memset(source + PAGE_SIZE, 0x77, PAGE_SIZE);
		put(source, 20, (reg_t)window_table() | PTE_ALL);
		put(source, 21, next | PTE_ALL);
		put(window_table(), 20, (reg_t)window_table() | PTE_ALL);
		put(window_table(), 21, 0);
		flush();
		copy_words(window(20), source, 2 * PAGE_SIZE / 4);
		if (round)
			look((u32 *)(window(21) + 128), next);
		check_equal(name("moved"), *(u32 *)(own + 128), round ? 0x11111111 : 0x77777777);
	}
	/* Its own page goes away under it. What it writes afterwards may still come here, or be lost. */
	put(source, 20, there | PTE_ALL);
	put(source, 21, (there + PAGE_SIZE) | PTE_ALL);
	copy_words(window(20), source, 2 * PAGE_SIZE / 4);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		put(window_table(), i, 0);
	flush();
	tell("moving");
	check_own("own-after-moving");
}

static void check_all(const char *prefix, enum paging_mode new_mode)
{
	mode_name = prefix;
	mode = new_mode;
	paging_start(mode);
	check_scan();
	if (mode == PAGING_OFF)
		return;
	check_large();
	check_neighbours();
	check_reserved();
	check_mirrors();
	check_moving();
	check_own("own-at-the-end");
}

void guest(void)
{
	mode_name = "";
	find_ram();
	fill_own();
#ifdef __x86_64__
	check_all("", PAGING_LONG);
#else
	check_all("off-", PAGING_OFF);
	check_all("", PAGING_32);
	check_all("pae-", PAGING_PAE);
	paging_start(PAGING_OFF);
#endif
}
