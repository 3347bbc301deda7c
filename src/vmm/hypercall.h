/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypercall.h: what a guest may ask its monitor.
 *
 * VMMCALL (VMCALL on Intel) with the number in RAX and arguments in RBX, RCX, RDX, RSI; the result
 * is in RAX, an errno if negative; all other registers are kept. A guest knows that it may ask from
 * CPUID leaf 0x40000000, whose EBX, ECX, EDX spell "Casita VMM  "; leaf 0x40000001 EAX is the
 * version of this list.
 *
 *	number	name	arguments	result
 *	0	version	-		1
 *	1	print	RBX: a byte	0; the byte goes to the VM's console
 *	2	exit	RBX: status	does not return; the VM stops with that status, 0-255
 *	3	yield	-		0; the VM's turn ends, and the others have theirs
 *	4	dirty log  RBX: 1 or 0	0; begins or ends to note which pages of RAM are written
 *	5	dirty	RBX: address	bit n: the nth page from there was written since it was asked
 *					about last, 32 pages
 *
 * Numbers that nobody knows give -ENOSYS. Only the guest's kernel may ask: elsewhere it is #UD, as
 * on a processor without the instruction.
 */
#ifndef VMM_HYPERCALL_H
#define VMM_HYPERCALL_H

#include "lib/set.h"
#include "vmm/hooks.h"

/* Hypercalls that every VM has announce themselves here; vm_hook_hypercall() adds others to one VM.
 */
SET_DECLARE(hypercalls, const struct hypercall_hook);
#define HYPERCALL(object) SET_ADD(hypercalls, const struct hypercall_hook, object)

#endif
