/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.h: why a guest stopped running, in words that both vendors share.
 *
 * A back end turns its processor's exit code into one struct exit; vmm/exit.c has one switch over
 * exit->kind and knows no vendor.
 */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include "lib/types.h"

struct vcpu;

/* X(enumerator, name in tables) */
/* clang-format off */
#define EXIT_KINDS(X)                                                                            \
	X(EXIT_UNKNOWN, "unknown")     /* a code that nobody asked for */                        \
	X(EXIT_INTERRUPT, "interrupt") /* the machine has one for us */                          \
	X(EXIT_WINDOW, "irq window")   /* the guest can take an interrupt now */                 \
	X(EXIT_CPUID, "cpuid") X(EXIT_HLT, "hlt") X(EXIT_IO, "port i/o") X(EXIT_RDPMC, "rdpmc")  \
	X(EXIT_RDMSR, "rdmsr") X(EXIT_WRMSR, "wrmsr")                                            \
	X(EXIT_CR_READ, "cr read") X(EXIT_CR_WRITE, "cr write") X(EXIT_EXCEPTION, "exception")   \
	X(EXIT_MEMORY, "memory") /* no translation for a guest physical address */               \
	X(EXIT_INVLPG, "invlpg")                                                                 \
	X(EXIT_TASK_SWITCH, "task switch") /* by hardware, which loads CR3 */                    \
	X(EXIT_INVD, "invd")		   /* INVD and WBINVD */                                 \
	X(EXIT_HYPERCALL, "hypercall")                                                           \
	X(EXIT_FORBIDDEN, "forbidden") /* an instruction we do not offer: VMRUN, MONITOR, … */ \
	X(EXIT_SHUTDOWN, "shutdown")   /* triple fault */                                        \
	X(EXIT_REFUSED, "refused")     /* the processor would not enter the guest */
/* clang-format on */

enum exit_kind {
#define X(e, name) e,
	EXIT_KINDS(X)
#undef X
		EXIT_KIND_COUNT
};

const char *exit_kind_name(enum exit_kind kind);

/* Something that happens to a guest between two of its instructions. */
struct event {
	enum { EVENT_EXCEPTION, EVENT_NMI, EVENT_SOFT_INT } kind;
	u8 vector;
	bool has_error;
	u32 error;
	u64 address; /* #PF: goes to CR2 */
};

struct exit {
	enum exit_kind kind;
	u64 code;	  /* the processor's own exit code */
	u64 info1, info2; /* and its qualification, as it was given */
	u64 rip;	  /* of the instruction that exited */
	u64 next_rip;	  /* of the one behind it; 0 where the processor does not say */
	struct {	  /* an event whose delivery this exit cut short, to be delivered again */
		bool valid;
		bool is_irq; /* an external interrupt that the guest had taken */
		struct event event;
	} interrupted;
	union {
		struct {
			u16 port;
			u8 size;	      /* bytes an element: 1, 2, 4 */
			bool in, string, rep; /* string: INS or OUTS */
		} io;
		struct {
			u8 vector;
			bool has_error;
			u32 error;
			u64 address; /* #PF: the value for CR2 */
		} exception;
		struct {
			gpa_t gpa;
			u32 error;	 /* PF_* bits */
			bool table_walk; /* while the guest's own page tables were walked */
		} memory;
		struct {
			u8 number; /* 0, 3, 4, 8: which control register */
		} cr;
	};
};

/**
 * exit_dispatch() - deal with an exit: account for what the guest's interrupt pin did, then the one
 * switch of the monitor. If the VM cannot go on, it is stopped.
 */
void exit_dispatch(struct vcpu *vcpu, const struct exit *exit);

#endif
