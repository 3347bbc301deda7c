/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hooks.h: how a device, or any extension, gets to hear of what a guest does.
 *
 * One call a thing: a range, callbacks, an opaque pointer. The core knows no device; it knows
 * hooks. Memory has its own, vm_hook_mem() in memory.h.
 */
#ifndef VMM_HOOKS_H
#define VMM_HOOKS_H

#include "host/cpu.h"
#include "vmm/exit.h"

struct vm;
struct vcpu;

/* ---- ports ---------------------------------------------------------------------------------- */
/*
 * Callbacks of a range of ports. @size is 1, 2 or 4 bytes. An access wider than @width is split
 * into accesses to consecutive ports, low byte first, as the ISA bus does for an 8-bit card. A
 * missing callback behaves like a floating port: all ones read, writes lost.
 */
struct io_hook {
	u16 first, last; /* ports, both included */
	u8 width;	 /* widest access in bytes: 1, 2, 4 */
	u32 (*in)(void *opaque, u16 port, int size);
	void (*out)(void *opaque, u16 port, int size, u32 value);
	void *opaque;
};

/** vm_hook_io() - Return: 0, -EINVAL: a bad range or width, -EEXIST: a port is taken, -ENOSPC. */
int vm_hook_io(struct vm *vm, const struct io_hook *hook);

/** vm_in(), vm_out() - what the guest's IN and OUT do: find the hook, split if need be. */
u32 vm_in(struct vm *vm, u16 port, int size);
void vm_out(struct vm *vm, u16 port, int size, u32 value);

/* ---- model-specific registers --------------------------------------------------------------- */
/* @read, @write return 0, or -EPERM to raise #GP, as a missing callback does. */
struct msr_hook {
	u32 first, last;
	int (*read)(struct vcpu *vcpu, u32 msr, u64 *value, void *opaque);
	int (*write)(struct vcpu *vcpu, u32 msr, u64 value, void *opaque);
	void *opaque;
};

/** vm_hook_msr() - Return: 0, -EINVAL, -EEXIST, -ENOSPC. */
int vm_hook_msr(struct vm *vm, const struct msr_hook *hook);

/* ---- CPUID ---------------------------------------------------------------------------------- */
/* @fn is given what the guest would see without it, and changes that. */
struct cpuid_hook {
	u32 first, last; /* leaves */
	void (*fn)(struct vcpu *vcpu, u32 leaf, u32 subleaf, struct cpuid_regs *regs, void *opaque);
	void *opaque;
};

/** vm_hook_cpuid() - Return: 0, -EINVAL, -ENOSPC. Several hooks may cover a leaf. */
int vm_hook_cpuid(struct vm *vm, const struct cpuid_hook *hook);

/* ---- hypercalls ----------------------------------------------------------------------------- */
/* RAX = number, arguments RBX, RCX, RDX, RSI; result (negative: an errno) in RAX. hypercall.c. */
struct hypercall_hook {
	u64 number;
	s64 (*fn)(struct vcpu *vcpu, const u64 args[4], void *opaque);
	void *opaque;
};

/** vm_hook_hypercall() - Return: 0, -EEXIST, -ENOSPC. */
int vm_hook_hypercall(struct vm *vm, const struct hypercall_hook *hook);

/* ---- exits ---------------------------------------------------------------------------------- */
/*
 * Sees every exit of one kind before the monitor does. Return: 1, handled, the guest goes on;
 * 0, the monitor shall handle it; negative errno, the VM stops.
 */
struct exit_hook {
	enum exit_kind kind;
	int (*fn)(struct vcpu *vcpu, const struct exit *exit, void *opaque);
	void *opaque;
};

/** vm_hook_exit() - Return: 0, or -EEXIST if that kind is hooked. */
int vm_hook_exit(struct vm *vm, const struct exit_hook *hook);

#define IO_HOOKS	32
#define MSR_HOOKS	16
#define CPUID_HOOKS	8
#define HYPERCALL_HOOKS 16

/* All hooks of a VM. Ports are one table look-up: io_index[port] is 1 + a place in io[], or 0. */
struct hooks {
	u8 io_index[65536];
	struct io_hook io[IO_HOOKS];
	struct msr_hook msr[MSR_HOOKS];
	struct cpuid_hook cpuid[CPUID_HOOKS];
	struct hypercall_hook hypercall[HYPERCALL_HOOKS];
	unsigned io_count, msr_count, cpuid_count, hypercall_count;
	u32 exit_kinds; /* bit n: exits of kind n are hooked */
	struct exit_hook exit[EXIT_KIND_COUNT];
};

#endif
