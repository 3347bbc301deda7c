/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * realmode: the mode that every PC processor starts in, visited from protected mode (APM vol. 2
 * §14.5; vol. 1 §2.1.2).
 *
 * What a VMM gets wrong here: code is 16-bit now, and 66 and 67 make it 32-bit, not the other way
 * round; an address is segment * 16 + offset, in which the offset stays below 64 KiB while the sum
 * may pass 1 MiB; IP is 16 bits; interrupts go through the table at 0, without error codes; the
 * hidden parts of segment registers stay what they were in protected mode until they are loaded.
 */
#include "lib/real.h"

CODE_REAL(code_cpuid, "cpuid");
CODE_REAL(cpuid_prefixed, ".byte 0x66, 0x67, 0x2e, 0x0f, 0xa2");
CODE_REAL(in_al, "in $0xe9, %al");
CODE_REAL(in_ax, "in %dx, %ax");
CODE_REAL(in_eax, "in %dx, %eax"); /* 66 ed */
CODE_REAL(out_eax, "out %eax, %dx");
CODE_REAL(code_rdmsr, "rdmsr");
CODE_REAL(outs_ds, "rep outsb");
CODE_REAL(outs_fs, "rep outsb %fs:(%si), %dx");
CODE_REAL(outs_cs, "rep outsb %cs:(%si), %dx\n int3\n .ascii \"by CS\\n\"");
CODE_REAL(outs_32, "rep outsb %fs:(%esi), %dx"); /* 67: ESI and ECX */
CODE_REAL(ins_es, "rep insb");
CODE_REAL(ins_es_word, "rep insw");
CODE_REAL(int_60, "nop\n int $0x60");
CODE_REAL(divide, "xor %cx, %cx\n div %cx");
CODE_REAL(undefined, "nop\n ud2");
CODE_REAL(into, "mov $0x7fff, %ax\n inc %ax\n into");
CODE_REAL(bound, "bound %ax, (%bx)");
CODE_REAL(read_beyond, "mov (%bx), %al");
CODE_REAL(read_32, "mov %gs:(%ebx), %eax"); /* GS still has its limit of 4 GiB */
CODE_REAL(move_crs, "mov %cr0, %esi\n smsw %di");
CODE_REAL(near_call, "call 1f\n nop\n int3\n 1: mov %sp, %bx\n mov %ss:(%bx), %cx\n ret");
CODE_REAL(wide_flags, "pushfl\n popl %eax");

#define PORT_TEXT 0xe9
#define PORT_NONE 0x3a00
#define RESULTS	  (BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX))

static struct real_state fresh(void)
{
	struct real_state s = real_state_new();

	s.gpr[RAX] = 0x11223344;
	return s;
}

/* Vector, how far IP went, and whether a register changed that should not. */
static void ends(const char *what, const u8 *code, const u8 *end, struct real_state *s, u16 vector,
		 u16 length, u32 may_change)
{
	struct real_state before = *s;

	real_probe(code, end, s);
	check_equal(what,
		    s->vector << 24 | (u16)(s->ip - before.ip) << 8 |
			    (real_changed(&before, s) & ~may_change),
		    vector << 24 | length << 8);
}
#define ENDS(what, name, s, vector, length, may_change) \
	ends(what, name, name##_end, s, vector, length, may_change)

static void check_cpuid(void)
{
	struct cpuid r = cpuid(0, 0);
	struct real_state s = fresh();

	s.gpr[RAX] = s.gpr[RCX] = 0;
	ENDS("cpuid", code_cpuid, &s, VEC_BP, 3, RESULTS);
	check("cpuid-results", s.gpr[RAX] == r.eax && s.gpr[RBX] == r.ebx && s.gpr[RCX] == r.ecx &&
				       s.gpr[RDX] == r.edx);
	s = fresh();
	s.gpr[RAX] = s.gpr[RCX] = 0;
	ENDS("cpuid-prefixed", cpuid_prefixed, &s, VEC_BP, 6, RESULTS);

	/* Where segment * 16 + IP passes 1 MiB. */
	s = fresh();
	s.cs = 0xffff;
	s.ip = 0x0200;
	s.gpr[RAX] = s.gpr[RCX] = 0;
	ENDS("cpuid-above-1m", code_cpuid, &s, VEC_BP, 3, RESULTS);
	check_equal("cpuid-above-1m-cs", s.cs, 0xffff);
}

static void check_io(void)
{
	struct real_state s = fresh();

	ENDS("in-al", in_al, &s, VEC_BP, 3, BIT(RAX));
	check_equal("in-al-eax", s.gpr[RAX], 0x112233e9);
	s = fresh();
	s.gpr[RDX] = PORT_NONE;
	ENDS("in-ax", in_ax, &s, VEC_BP, 2, BIT(RAX));
	check_equal("in-ax-eax", s.gpr[RAX], 0x1122ffff);
	s = fresh();
	s.gpr[RDX] = PORT_NONE;
	ENDS("in-eax", in_eax, &s, VEC_BP, 3, BIT(RAX));
	check_equal("in-eax-eax", s.gpr[RAX], 0xffffffff);
	s = fresh();
	s.gpr[RDX] = PORT_NONE;
	ENDS("out-eax", out_eax, &s, VEC_BP, 3, 0);

	wrmsr(MSR_SYSENTER_ESP, 0x600df00d);
	s = fresh();
	s.gpr[RCX] = MSR_SYSENTER_ESP;
	ENDS("rdmsr", code_rdmsr, &s, VEC_BP, 3, BIT(RAX) | BIT(RDX));
	check_equal("rdmsr-eax", s.gpr[RAX], 0x600df00d);
}

static struct real_state string_state(u16 port, u16 offset, u16 count)
{
	struct real_state s = fresh();

	s.gpr[RDX] = port;
	s.gpr[RSI] = 0x55550000 | offset;
	s.gpr[RDI] = 0x66660000 | offset;
	s.gpr[RCX] = 0x77770000 | count;
	return s;
}

static void check_strings(void)
{
	volatile u8 *const low = (void *)0x20000; /* 64 KiB for segments to wrap in */
	struct real_state s = string_state(PORT_TEXT, 0x0123, 6);

	memcpy((void *)0x20123, "by DS\n", 6);
	s.ds = 0x2000;
	ENDS("outs-ds", outs_ds, &s, VEC_BP, 3, BIT(RSI) | BIT(RCX));
	check_equal("outs-ds-end", (u64)s.gpr[RSI] << 32 | s.gpr[RCX], 0x5555012977770000);

	memcpy((void *)0x20123, "by FS\n", 6);
	s = string_state(PORT_TEXT, 0x0013, 6);
	s.fs = 0x2011; /* 2011:0013 is 2000:0123 */
	ENDS("outs-fs", outs_fs, &s, VEC_BP, 4, BIT(RSI) | BIT(RCX));
	s = string_state(PORT_TEXT, REAL_IP + 4, 6);
	ENDS("outs-cs", outs_cs, &s, VEC_BP, 4, BIT(RSI) | BIT(RCX));
	s = string_state(PORT_TEXT, 0, 6);
	s.fs = 0x2011;
	s.gpr[RSI] = 0x13;
	s.gpr[RCX] = 6;
	ENDS("outs-32", outs_32, &s, VEC_BP, 5, BIT(RSI) | BIT(RCX));
	check_equal("outs-32-end", (u64)s.gpr[RSI] << 32 | s.gpr[RCX], 0x19ull << 32);

	/* The offset wraps within its segment: after ffff comes 0000. */
	memcpy((void *)0x2fffd, "wra", 3);
	memcpy((void *)0x20000, "ps\n", 3);
	s = string_state(PORT_TEXT, 0xfffd, 6);
	s.ds = 0x2000;
	ENDS("outs-wraps", outs_ds, &s, VEC_BP, 3, BIT(RSI) | BIT(RCX));
	check_equal("outs-wraps-end", s.gpr[RSI], 0x55550003);

	memset((void *)0x20000, 0x11, 0x10010);
	s = string_state(PORT_TEXT, 0xfffc, 8);
	s.es = 0x2000;
	ENDS("ins-wraps", ins_es, &s, VEC_BP, 3, BIT(RDI) | BIT(RCX));
	check_equal("ins-wraps-memory",
		    low[0xfffb] << 24 | low[0xfffc] << 16 | low[0xffff] << 8 | low[0x10000],
		    0x11e9e911);
	check_equal("ins-wraps-start", low[3] << 8 | low[4], 0xe911);
	s = string_state(PORT_NONE, 0x100, 3);
	s.es = 0x2000;
	s.flags |= FLAGS_DF;
	ENDS("insw-backward", ins_es_word, &s, VEC_BP, 3, BIT(RDI) | BIT(RCX));
	check_equal("insw-backward-memory",
		    low[0xfb] << 24 | low[0xfc] << 16 | low[0x101] << 8 | low[0x102], 0x11ffff11);
	check_equal("insw-backward-end", s.gpr[RDI], 0x666600fa);
}

static void check_interrupts(void)
{
	struct real_state s = fresh();
	u16 frame_sp;

	s.flags |= FLAGS_CF | FLAGS_DF;
	ENDS("int-60", int_60, &s, 0x60, 3, 0);
	check_equal("int-60-flags", s.flags & (FLAGS_CF | FLAGS_DF), FLAGS_CF | FLAGS_DF);
	frame_sp = s.gpr[RSP]; /* three words of the interrupt, two of the stub */
	check_equal("int-60-stack", frame_sp, REAL_STACK - 10);
	s = fresh();
	ENDS("divide", divide, &s, VEC_DE, 2, BIT(RCX));
	s = fresh();
	ENDS("ud2", undefined, &s, VEC_UD, 1, 0);
	check_equal("ud2-stack", (u16)s.gpr[RSP], REAL_STACK - 10);
	s = fresh();
	ENDS("into", into, &s, VEC_OF, 5, BIT(RAX));
	s = fresh();
	s.ds = 0x2000;
	s.gpr[RBX] = 0x100;
	*(volatile u32 *)0x20100 = 0x00070005; /* from 5 to 7 */
	s.gpr[RAX] = 8;
	ENDS("bound", bound, &s, VEC_BR, 0, 0);
	s = fresh();
	ENDS("call", near_call, &s, VEC_BP, 5, BIT(RBX) | BIT(RCX));
	check_equal("call-return-ip", s.gpr[RCX] & 0xffff, REAL_IP + 3);
}

static void check_addresses(void)
{
	volatile u8 *const high = (void *)0x100000;
	struct real_state s = fresh();
	u8 old = *high;

	/* ffff:0010 is 1 MiB, not 0, as long as the A20 line is on. */
	*high = 0x5a;
	s.ds = 0xffff;
	s.gpr[RBX] = 0x10;
	ENDS("beyond-1m", read_beyond, &s, VEC_BP, 3, BIT(RAX));
	check_equal("beyond-1m-al", s.gpr[RAX] & 0xff, 0x5a);
	*high = old;

	/* GS was not loaded in real mode: it still starts at 0 and has 4 GiB. */
	s = fresh();
	s.gpr[RBX] = (u32)code_cpuid;
	ENDS("beyond-64k", read_32, &s, VEC_BP, 6, BIT(RAX));
	check_equal("beyond-64k-ax", s.gpr[RAX], 0xcccca20f);
}

static void check_registers(void)
{
	struct real_state s = fresh();
	u32 cr0 = read_cr0();

	ENDS("control", move_crs, &s, VEC_BP, 7, BIT(RSI) | BIT(RDI));
	check("control-cr0", s.gpr[RSI] == (cr0 & ~CR0_PE));
	check("control-smsw", (s.gpr[RDI] & 0xffff) == (cr0 & 0xfffe));
	s = fresh();
	s.flags |= FLAGS_ZF;
	ENDS("flags-32", wide_flags, &s, VEC_BP, 5, BIT(RAX));
	check_equal("flags-32-eax", s.gpr[RAX], FLAGS_ZF | FLAGS_ONE);
}

/* There and back, often. */
static void check_visits(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct real_state s = fresh();

		s.gpr[RDX] = PORT_NONE;
		real_probe(in_ax, in_ax_end, &s);
		good += s.vector == VEC_BP && s.gpr[RAX] == 0x1122ffff;
	}
	check_equal("visits", good, 100);
}

void guest(void)
{
	real_init();
	check_cpuid();
	check_io();
	check_strings();
	check_interrupts();
	check_addresses();
	check_registers();
	check_visits();
}
