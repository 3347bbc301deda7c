/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cpuid: the CPUID instruction, which every VMM intercepts (APM vol. 3, CPUID; vol. 3 appendix E).
 *
 * What the processor says of itself differs from machine to machine, so this guest answers how
 * CPUID behaves, and whether what it says fits together.
 *
 * What a VMM gets wrong here: it writes the four results but leaves old upper halves in RAX, RBX,
 * RCX, RDX; it loses some other register on the way to its handler and back; it takes CPUID to be
 * always two bytes long, and a prefix makes it three to fifteen; it reads a whole line from the
 * page behind an instruction that ends with its page; it answers with the host's CR4.OSXSAVE and
 * XCR0 instead of the guest's.
 */
#include "lib/probe.h"

CODE(plain, "cpuid");

/* Prefixes that mean nothing to CPUID, and that the processor skips (APM vol. 3 §1.2). */
CODE(prefix_66, ".byte 0x66, 0x0f, 0xa2");
CODE(prefix_67, ".byte 0x67, 0x0f, 0xa2");
CODE(prefix_f2, ".byte 0xf2, 0x0f, 0xa2");
CODE(prefix_f3, ".byte 0xf3, 0x0f, 0xa2");
CODE(prefix_segments, ".byte 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x0f, 0xa2");
CODE(prefix_13, ".fill 13, 1, 0x66\n cpuid"); /* 15 bytes: the longest instruction there may be */
CODE(prefix_14, ".fill 14, 1, 0x66\n cpuid"); /* one too many: #GP */
CODE_ACROSS(page_1, 1, "cpuid");
CODE_ACROSS(page_end, 2, "cpuid");
CODE_ACROSS(page_prefix, 4, ".byte 0x66, 0x66, 0x66, 0x66\n cpuid");
#ifdef __x86_64__
CODE(rex, ".byte 0x40, 0x0f, 0xa2");
CODE(rex_w, ".byte 0x48, 0x0f, 0xa2");
CODE(rex_all, ".byte 0x4f, 0x0f, 0xa2");
CODE(prefix_rex, ".byte 0x66, 0x4f, 0x0f, 0xa2");
CODE(rex_void, ".byte 0x48, 0x66, 0x0f, 0xa2"); /* a REX prefix not in the last place: ignored */
#endif

/* Three in a row, the later ones asking with the results of the earlier ones. */
CODE(three,
     "cpuid\n xor %ecx, %ecx\n mov $1, %eax\n cpuid\n xor %ecx, %ecx\n xor %eax, %eax\n cpuid");

#define RESULTS (BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX))

static bool same_as_cpuid(const struct state *s, u32 leaf, u32 subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	/* The upper halves of the registers count: they must be zero. */
	return s->gpr[RAX] == r.eax && s->gpr[RBX] == r.ebx && s->gpr[RCX] == r.ecx &&
	       s->gpr[RDX] == r.edx;
}

/* One CPUID, with garbage in all registers, and above EAX and ECX. */
static void check_code(const char *what, const u8 *code, const u8 *end)
{
	struct state before = state_new(), s;

	before.gpr[RAX] &= ~(reg_t)0xffffffff;
	before.gpr[RCX] &= ~(reg_t)0xffffffff;
	s = before;
	probe(code, &s);
	/* #BP, where the code ends, everything as it should be: 1 for each. */
	check_equal(what,
		    (s.vector == VEC_BP) << 3 | (s.rip - 1 == (reg_t)end) << 2 |
			    !(registers_changed(&before, &s) & ~RESULTS) << 1 |
			    same_as_cpuid(&s, 0, 0),
		    0xf);
}
#define CHECK(what, name) check_code(what, name, name##_end)

static void check_leaves(void)
{
	static const u32 leaves[] = {0, 1, 2, 4, 7, 0xb, 0xd, 0x80000000, 0x80000001, 0x80000008};
	struct state before = state_new(), s;
	u32 good = 0, kept = 0, flags = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
		s = before;
		s.gpr[RAX] = (before.gpr[RAX] & ~(reg_t)0xffffffff) | leaves[i];
		s.gpr[RCX] &= ~(reg_t)0xffffffff;
		s.flags |= FLAGS_STATUS;
		probe(plain, &s);
		good += same_as_cpuid(&s, leaves[i], 0);
		kept += !(registers_changed(&before, &s) & ~RESULTS);
		flags += (s.flags & FLAGS_STATUS) == FLAGS_STATUS;
	}
	check_equal("leaves-same", good, ARRAY_SIZE(leaves));
	check_equal("leaves-registers-kept", kept, ARRAY_SIZE(leaves));
	check_equal("leaves-flags-kept", flags, ARRAY_SIZE(leaves));
}

static bool is_text(u32 word)
{
	for (; word; word >>= 8)
		if ((word & 0xff) < ' ' || (word & 0xff) > '~')
			return false;
	return true;
}

/* What CPUID says must fit together, whatever processor it describes. */
static void check_sense(void)
{
	const u32 basics = BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(8); /* FPU TSC MSR PAE CX8 */
	struct cpuid max = cpuid(0, 0), one = cpuid(1, 0), ext = cpuid(0x80000000, 0), amd, sizes;
	unsigned phys, virt;
	bool amd_vendor = max.ebx == 0x68747541; /* "Auth" */

	check("vendor-is-text",
	      is_text(max.ebx) && is_text(max.edx) && is_text(max.ecx) && max.ebx);
	check("max-leaf", max.eax >= 1 && max.eax < 0x1000);
	check("max-extended-leaf", ext.eax >= 0x80000008 && ext.eax < 0x80001000);
	check_equal("basic-features", one.edx & basics, basics);
	check("family", (one.eax >> 8 & 0xf) >= 5);

	amd = cpuid(0x80000001, 0);
	check("long-mode", amd.edx & BIT(29));
	/* Intel gives no features twice; AMD gives these bits both times. */
	check("features-twice", !amd_vendor || (amd.edx & basics) == basics);

	sizes = cpuid(0x80000008, 0);
	phys = sizes.eax & 0xff;
	virt = sizes.eax >> 8 & 0xff;
	check("address-sizes", phys >= 32 && phys <= 52 && (virt == 48 || virt == 57));
}

/* CPUID tells what the guest has turned on: its own CR4 and XCR0, not the VMM's. */
static void check_xsave(void)
{
	bool off = true, on = true, size1 = true, size3 = true;
	reg_t cr4 = read_cr4();

	if (cpuid(1, 0).ecx & BIT(26)) { /* XSAVE */
		write_cr4(cr4 & ~CR4_OSXSAVE);
		off = !(cpuid(1, 0).ecx & BIT(27));
		write_cr4(cr4 | CR4_OSXSAVE);
		on = cpuid(1, 0).ecx & BIT(27);
		xsetbv(0, 1); /* x87: the legacy area and the header */
		size1 = cpuid(0xd, 0).ebx == 576;
		xsetbv(0, 3); /* and SSE: the same */
		size3 = cpuid(0xd, 0).ebx == 576 && cpuid(0xd, 0).ecx >= 576;
		xsetbv(0, 1);
		write_cr4(cr4);
	}
	check("osxsave-off", off);
	check("osxsave-on", on);
	check("xsave-size-x87", size1);
	check("xsave-size-sse", size3);
}

/* The same question gets the same answer, a thousand times, and also from ring 3. */
static void check_steady(void)
{
	struct cpuid first = cpuid(1, 0), r;
	struct state s = state_new_user();
	unsigned same = 0;

	for (unsigned i = 0; i < 1000; i++) {
		r = cpuid(1, 0);
		same += !memcmp(&r, &first, sizeof(r));
	}
	check_equal("steady", same, 1000);

	s.gpr[RAX] = s.gpr[RCX] = 0;
	probe(plain, &s);
	check("ring3", ran_to_end(plain, &s) && same_as_cpuid(&s, 0, 0) && s.cs == SEL_USER_CODE);
}

void guest(void)
{
	struct state s = state_new();

	CHECK("plain", plain);
	CHECK("prefix-66", prefix_66);
	CHECK("prefix-67", prefix_67);
	CHECK("prefix-f2", prefix_f2);
	CHECK("prefix-f3", prefix_f3);
	CHECK("prefix-segments", prefix_segments);
	CHECK("prefix-13", prefix_13);
	CHECK("page-1", page_1);
	CHECK("page-end", page_end);
	CHECK("page-prefix", page_prefix);
#ifdef __x86_64__
	CHECK("rex", rex);
	CHECK("rex-w", rex_w);
	CHECK("rex-all", rex_all);
	CHECK("prefix-rex", prefix_rex);
	CHECK("rex-void", rex_void);
#endif
	probe(prefix_14, &s);
	check_fault("too-long", prefix_14, &s, VEC_GP, 0, 0);
	s = state_new();
	s.gpr[RAX] = s.gpr[RCX] = 0;
	probe(three, &s);
	check("three-in-a-row", ran_to_end(three, &s) && same_as_cpuid(&s, 0, 0));

	check_leaves();
	check_sense();
	check_xsave();
	check_steady();
}
