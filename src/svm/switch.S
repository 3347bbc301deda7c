/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * switch.S: the world switch, where the host becomes the guest and the guest the host.
 *
 * VMRUN swaps RIP, RSP, RAX, RFLAGS, the control registers and CS, SS, DS, ES by itself (APM vol. 2
 * §15.5). VMLOAD and VMSAVE move FS, GS, TR, LDTR and the system call registers (§15.5.2). The
 * fourteen general registers that are left are ours to move, and that is what is done here:
 *
 *	1. keep the frame pointer, and the two pointers we will need, on the stack
 *	2. close the global interrupt gate, so that no interrupt falls between the worlds; then set
 *	   IF: with V_INTR_MASKING it is the host's IF at VMRUN that lets a physical interrupt end
 *	   the guest's run (§15.21.1). GIF is what holds interrupts back until VMRUN opens it.
 *	3. load the guest's registers, last the one that holds the pointer
 *	4. VMLOAD, VMRUN, VMSAVE
 *	5. now in the host again with only RAX and RSP restored: park the guest's RDI on the stack to
 *	   have a register, find the array, store everything
 *	6. reload the host's part, clear IF again, open the gate, return
 *
 * The guest's RAX travels through the VMCB, because VMRUN's operand is in RAX. All other registers come
 * back with the guest's values in them, as far as the caller is concerned destroyed: it calls through
 * world_switch() in run.c, which tells the compiler so. That way nothing is saved that nobody needs.
 */
#include "lib/lab.h"

#define VMCB_RAX 0x5f8

	.text
	.globl svm_switch
	.type svm_switch, @function
svm_switch:				/* rdi = gpr[], rsi = vmcb, rdx = host_vmcb */
#if SOLVED >= 1
	push	%rbp			/* 1 */
	push	%rdx
	push	%rdi

	clgi				/* 2 */
	sti

	mov	%rsi, %rax		/* 3 */
	mov	0x00(%rdi), %rcx
	mov	%rcx, VMCB_RAX(%rax)
	mov	0x08(%rdi), %rcx
	mov	0x10(%rdi), %rdx
	mov	0x18(%rdi), %rbx
	mov	0x28(%rdi), %rbp
	mov	0x30(%rdi), %rsi
	mov	0x40(%rdi), %r8
	mov	0x48(%rdi), %r9
	mov	0x50(%rdi), %r10
	mov	0x58(%rdi), %r11
	mov	0x60(%rdi), %r12
	mov	0x68(%rdi), %r13
	mov	0x70(%rdi), %r14
	mov	0x78(%rdi), %r15
	mov	0x38(%rdi), %rdi

	vmload	%rax			/* 4 */
	vmrun	%rax
	vmsave	%rax

	push	%rdi			/* 5 */
	mov	8(%rsp), %rdi
	mov	%rcx, 0x08(%rdi)
	mov	%rdx, 0x10(%rdi)
	mov	%rbx, 0x18(%rdi)
	mov	%rbp, 0x28(%rdi)
	mov	%rsi, 0x30(%rdi)
	pop	0x38(%rdi)
	mov	%r8, 0x40(%rdi)
	mov	%r9, 0x48(%rdi)
	mov	%r10, 0x50(%rdi)
	mov	%r11, 0x58(%rdi)
	mov	%r12, 0x60(%rdi)
	mov	%r13, 0x68(%rdi)
	mov	%r14, 0x70(%rdi)
	mov	%r15, 0x78(%rdi)
	mov	VMCB_RAX(%rax), %rcx
	mov	%rcx, 0x00(%rdi)

	pop	%rdi			/* 6 */
	pop	%rax
	vmload	%rax
	cli
	stgi
	pop	%rbp
	ret
#else
	/*
	 * Exercise 1.5. Follow the six steps above. You are called with
	 *
	 *	RDI	the array of the guest's general registers, 8 bytes each, in the order RAX
	 *		RCX RDX RBX RSP RBP RSI RDI R8 … R15 (the RSP in it is not used)
	 *	RSI	the guest's VMCB; VMCB_RAX is the offset of RAX in it
	 *	RDX	the host's VMCB, for VMLOAD
	 *
	 * and may destroy every register but RSP and RBP.
	 *
	 * Hint: VMRUN, VMLOAD and VMSAVE take the VMCB's physical address in RAX. At the exit
	 * only RAX and RSP are yours again: the stack is the one place where pointers can wait.
	 *
	 * Handout: lab 1, "The world switch". APM vol. 2 §15.5, §15.17.
	 */
	LAB(1, "1.5", "change the worlds")
#endif
	.size svm_switch, . - svm_switch

	.globl svm_vmsave
	.type svm_vmsave, @function
svm_vmsave:				/* rdi = host_vmcb */
	mov	%rdi, %rax
	vmsave	%rax
	ret
	.size svm_vmsave, . - svm_vmsave

	.globl svm_set_cr2
	.type svm_set_cr2, @function
svm_set_cr2:				/* rdi = value */
	mov	%rdi, %cr2
	ret
	.size svm_set_cr2, . - svm_set_cr2

	.section .note.GNU-stack, "", @progbits
