/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exits.c: from AMD's exit codes to the monitor's struct exit.
 *
 * An exit code says what happened and two words of information qualify it (APM vol. 2 §15.6 and
 * appendix C). A table gives the kind; the few kinds with details are taken apart behind it.
 */
#include "svm/svm.h"

#define CODES (SVM_EXIT_RDPRU + 1)

/* Codes that we never asked for stay 0, EXIT_UNKNOWN. */
static const u8 kinds[CODES] = {
	[SVM_EXIT_CR_READ... SVM_EXIT_CR_READ + 15] = EXIT_CR_READ,
	[SVM_EXIT_CR_WRITE... SVM_EXIT_CR_WRITE + 15] = EXIT_CR_WRITE,
	[SVM_EXIT_EXCEPTION... SVM_EXIT_EXCEPTION + 31] = EXIT_EXCEPTION,
	[SVM_EXIT_INTR] = EXIT_INTERRUPT,
	[SVM_EXIT_NMI] = EXIT_INTERRUPT, /* they are pending still, and come when GIF is set */
	[SVM_EXIT_SMI] = EXIT_INTERRUPT,
	[SVM_EXIT_INIT] = EXIT_INTERRUPT,
	[SVM_EXIT_RDPMC] = EXIT_RDPMC,
	[SVM_EXIT_VINTR] = EXIT_WINDOW,
	[SVM_EXIT_CPUID] = EXIT_CPUID,
	[SVM_EXIT_INVD] = EXIT_INVD,
	[SVM_EXIT_WBINVD] = EXIT_INVD,
	[SVM_EXIT_HLT] = EXIT_HLT,
	[SVM_EXIT_INVLPG] = EXIT_INVLPG,
	[SVM_EXIT_IOIO] = EXIT_IO,
	[SVM_EXIT_MSR] = EXIT_RDMSR,
	[SVM_EXIT_TASK] = EXIT_TASK_SWITCH,
	[SVM_EXIT_SHUTDOWN] = EXIT_SHUTDOWN,
	[SVM_EXIT_VMMCALL] = EXIT_HYPERCALL,
	[SVM_EXIT_INVLPGA] = EXIT_FORBIDDEN,
	[SVM_EXIT_VMRUN] = EXIT_FORBIDDEN,
	[SVM_EXIT_VMLOAD... SVM_EXIT_SKINIT] = EXIT_FORBIDDEN,
	[SVM_EXIT_MONITOR] = EXIT_FORBIDDEN,
	[SVM_EXIT_MWAIT] = EXIT_FORBIDDEN,
	[SVM_EXIT_RDPRU] = EXIT_FORBIDDEN,
};

static void decode_io(const struct vmcb *vmcb, struct exit *exit)
{
	u64 info = vmcb->exit_info1;

	exit->io.port = info >> SVM_IOIO_PORT_SHIFT;
	exit->io.size = info >> SVM_IOIO_SIZE_SHIFT & 7;
	exit->io.in = info & SVM_IOIO_IN;
	exit->io.string = info & SVM_IOIO_STRING;
	exit->io.rep = info & SVM_IOIO_REP;
	exit->next_rip = vmcb->exit_info2; /* even without the next-RIP feature */
}

void svm_decode_event(u64 word, struct event *event)
{
	static const u8 kinds[8] = {
		[SVM_EVENT_NMI >> 8] = EVENT_NMI,
		[SVM_EVENT_EXCEPTION >> 8] = EVENT_EXCEPTION,
		[SVM_EVENT_SOFT_INT >> 8] = EVENT_SOFT_INT,
	};

	event->kind = kinds[(word & SVM_EVENT_TYPE) >> 8];
	event->vector = word & SVM_EVENT_VECTOR;
	event->has_error = word & SVM_EVENT_ERROR_VALID;
	event->error = word >> SVM_EVENT_ERROR_SHIFT;
}

/*
 * QEMU calls an interrupt from the virtual pin an exception when its delivery is cut short. There are
 * no exceptions above 31; below, it is the vector that we offered.
 */
static bool taken_from_pin(struct vcpu *vcpu, const struct event *event)
{
	return event->kind == EVENT_EXCEPTION &&
	       (event->vector > 31 || (vcpu->offered == event->vector && !event->has_error));
}

/*
 * The exit cut an event's delivery short (APM vol. 2 §15.7.2): a fault on the guest's IDT, stack or
 * TSS.
 */
static __slow void decode_interrupted(struct vcpu *vcpu, const struct vmcb *vmcb, struct exit *exit)
{
	vcpu->requests |= REQUEST_IRQ;
	exit->interrupted.valid = true;
	svm_decode_event(vmcb->exit_int_info, &exit->interrupted.event);
	exit->interrupted.is_irq = (vmcb->exit_int_info & SVM_EVENT_TYPE) == SVM_EVENT_INTR ||
				   taken_from_pin(vcpu, &exit->interrupted.event);
	exit->interrupted.event.address = vmcb->cr2;
}

/* The kinds that have more to say than their name. */
#define DETAILED                                                                   \
	(BIT(EXIT_IO) | BIT(EXIT_RDMSR) | BIT(EXIT_CR_READ) | BIT(EXIT_CR_WRITE) | \
	 BIT(EXIT_EXCEPTION) | BIT(EXIT_MEMORY))

static void decode_details(const struct vmcb *vmcb, struct exit *exit)
{
	switch (exit->kind) {
	case EXIT_IO:
		decode_io(vmcb, exit);
		break;
	case EXIT_RDMSR:
		if (vmcb->exit_info1)
			exit->kind = EXIT_WRMSR;
		break;
	case EXIT_CR_READ:
	case EXIT_CR_WRITE:
		exit->cr.number = exit->code & 0xf;
		break;
	case EXIT_EXCEPTION:
		exit->exception.vector = exit->code - SVM_EXIT_EXCEPTION;
		exit->exception.has_error = VECTORS_WITH_ERROR >> exit->exception.vector & 1;
		exit->exception.error = vmcb->exit_info1;
		exit->exception.address = vmcb->exit_info2;
		break;
	case EXIT_MEMORY:
		exit->memory.gpa = GPA(vmcb->exit_info2);
		exit->memory.error = vmcb->exit_info1;
		exit->memory.table_walk = vmcb->exit_info1 & SVM_NPF_TABLE;
		break;
	default:
		break;
	}
}

static enum exit_kind kind_of(u32 code)
{
	if (likely(code < CODES))
		return kinds[code];
	return code == SVM_EXIT_NPF	  ? EXIT_MEMORY
	       : code == SVM_EXIT_INVALID ? EXIT_REFUSED
					  : EXIT_UNKNOWN;
}

void svm_decode_exit(struct vcpu *vcpu, const struct vmcb *vmcb, struct exit *exit)
{
	u32 code = vmcb->exit_code;
	enum exit_kind kind = kind_of(code);

	exit->kind = kind;
	exit->code = code;
	exit->info1 = vmcb->exit_info1;
	exit->info2 = vmcb->exit_info2;
	exit->rip = vmcb->rip;
	exit->next_rip = vmcb->next_rip; /* zero on a processor without that feature */
	exit->interrupted.valid = false;
	if (unlikely(vmcb->exit_int_info & SVM_EVENT_VALID))
		decode_interrupted(vcpu, vmcb, exit);
	if (DETAILED >> kind & 1)
		decode_details(vmcb, exit);
}
