/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypercall: VMMCALL (AMD) or VMCALL (Intel), the instruction with which a guest calls its VMM (APM
 * vol. 2 §15.23). Casita's convention: the number in RAX, arguments in RBX, RCX, RDX, RSI, the
 * result in RAX, a negative one being an errno.
 *
 * What a VMM gets wrong here: registers other than RAX change; the length of a prefixed VMMCALL; an
 * unknown number is treated as a fatal error. Only for VMs: on bare metal the instruction is #UD.
 */
#include "lib/probe.h"

CODE(amd_call, "vmmcall");
CODE(amd_call_prefixed, ".byte 0x2e, 0x3e, 0x0f, 0x01, 0xd9");
CODE(intel_call, "vmcall");
CODE(intel_call_prefixed, ".byte 0x2e, 0x3e, 0x0f, 0x01, 0xc1");

#define CALL_VERSION 0
#define CALL_UNKNOWN 0x7fff1234
#define ENOSYS	     38

void guest(void)
{
	bool intel = cpuid(0, 0).ebx == 0x756e6547; /* "Genu" */
	const u8 *call = intel ? intel_call : amd_call;
	const u8 *end = intel ? intel_call_end : amd_call_end;
	const u8 *prefixed = intel ? intel_call_prefixed : amd_call_prefixed;
	struct state before = state_new(), s = before;

	s.gpr[RAX] = CALL_VERSION;
	probe(call, &s);
	check("version-returns", s.vector == VEC_BP && s.rip - 1 == (reg_t)end);
	check("version-not-zero", s.gpr[RAX] != 0);
	check_equal("version-changes", registers_changed(&before, &s) & ~BIT(RAX), 0);

	s = before;
	s.gpr[RAX] = CALL_UNKNOWN;
	probe(call, &s);
	check("unknown-returns", s.vector == VEC_BP && s.rip - 1 == (reg_t)end);
	check_equal("unknown-result", (u32)s.gpr[RAX], (u32)-ENOSYS);
	check_equal("unknown-changes", registers_changed(&before, &s) & ~BIT(RAX), 0);

	s = before;
	s.gpr[RAX] = CALL_VERSION;
	probe(prefixed, &s);
	check_fault("prefixed", prefixed, &s, VEC_BP, 0, 6);
}
