/* SPDX-License-Identifier: BSD-3-Clause */
/* vm.h: a virtual machine and its virtual CPUs. */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/config.h"
#include "vmm/cpu_ops.h"
#include "vmm/hooks.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/paging_ops.h"

struct trace;
struct resident;

#define VM_DEVICE_ALLOCS 16
#define CPUID_STORED	 16 /* leaves from 0 on, and as many from 0x80000000 on */

enum vm_state {
	VM_RUNNING,
	VM_POWEROFF, /* the guest turned itself off, or slept with interrupts off for ever */
	VM_RESET,    /* it asked for a reset: keyboard controller, port 0xcf9 */
	VM_EXITED,   /* it wrote its status to the exit port */
	VM_SHUTDOWN, /* triple fault */
	VM_FAILED,   /* it did something that we cannot do for it */
};

/* Nearly every exit leaves none of these behind, and the guest is entered again at once. */
#define REQUEST_IRQ   BIT(0) /* the INTR pin: see irq_offer() */
#define REQUEST_HOST  BIT(1) /* the machine's interrupts want in */
#define REQUEST_LEAVE BIT(2) /* halted, stopped, or the slice is over */

struct vcpu {
	/*
	 * The guest's general registers while Casita runs, in encoding order; but the processor
	 * keeps RSP (VREG_RSP). The world switch uses this array by offset, so it stays first.
	 */
	u64 gpr[GPR_COUNT];

	struct vm *vm;
	void *cpu_state;	   /* the back end's */
	void *paging_state;	   /* the paging mode's */
	struct resident *resident; /* FPU and the like, while another has the processor */

	u32 requests;  /* REQUEST_*: what the run loop must see to before the next entry */
	bool halted;   /* in HLT, until an interrupt */
	int offered;   /* vector on the INTR pin, or -1 */
	int redeliver; /* vector whose delivery an exit cut short, or -1 */
	u64 tsc_offset;
};

struct vm {
	char name[VM_NAME_MAX];
	const struct vm_config *config;
	struct memory memory;
	struct hooks hooks;
	const struct paging_ops *paging;
	void *paging_state;
	void *cpu_state;   /* the back end's: permission maps */
	struct vcpu *vcpu; /* one, until SMP */
	struct irq_state irq;
	bool intr; /* the controller's wire to the processor */
	struct trace *trace;
	struct exit exit; /* the last one, where there is no trace */

	/* Of a paging mode's pool of page tables: in use, and all there are. */
	unsigned tables, tables_max;

	struct {
		struct cpuid_regs leaf[2 * CPUID_STORED];
		u32 fixed; /* bit n: leaf[n] is always as stored */
	} cpuid;	   /* cpuid.c */
	u8 phys_bits;	   /* physical address width that the guest sees */
	struct {
		u64 variable[16], fixed[11], def_type;
	} mtrr; /* msr.c */

	enum vm_state state;
	u8 status;	  /* VM_EXITED: what the guest wrote */
	char reason[160]; /* VM_FAILED, failed loads: a sentence */

	struct device_alloc {
		void *memory;
		size_t bytes;
	} device_allocs[VM_DEVICE_ALLOCS];
	unsigned device_alloc_count;

	/* The console: the UART asks for input and is told when there is some. */
	void (*input_ready)(void *opaque);
	void *input_opaque;
	char line[120]; /* an unfinished line, when VMs share the console */
	unsigned line_length;
};

/**
 * vm_create() - make a VM with its memory, devices, paging and CPU, and load its kernel.
 * @config: what was asked for; must outlive the VM
 * Return: 0, and the VM in *@out; or a negative errno, having printed what is wrong and what to do.
 */
int vm_create(const struct vm_config *config, struct vm **out);
/** vm_destroy() - take it apart and give everything back. */
void vm_destroy(struct vm *vm);

/** vm_stop() - end a VM at its current exit; the run loop returns it to its owner. */
void vm_stop(struct vm *vm, enum vm_state why);
/** vm_fail() - keep a sentence about what went wrong, for people. Return: @error. */
int vm_fail(struct vm *vm, int error, const char *fmt, ...) __printf(3, 4);

/* ---- the console of a VM --------------------------------------------------------------------- */
/** vm_console_write() - a byte that the guest sent to its console. */
void vm_console_write(struct vm *vm, u8 byte);
/** vm_console_read() - the next byte typed for this VM, or -1. */
int vm_console_read(struct vm *vm);
/** vm_console_input() - ask to be told when there is something to read. */
void vm_console_input(struct vm *vm, void (*ready)(void *opaque), void *opaque);

/* The run loop's side. vm_console_focus() - what is typed goes to this VM from now on, of so many. */
void vm_console_focus(struct vm *vm, unsigned vms);
/** vm_console_poll() - tell that VM's UART that something may have been typed. */
void vm_console_poll(void);
/** vm_console_end() - a VM has stopped: print its last, unfinished line. */
void vm_console_end(struct vm *vm);

/* ---- memory --------------------------------------------------------------------------------- */
/** vm_ptr() - host pointer to guest RAM; NULL if not all @size bytes are RAM of one region. */
static inline void *vm_ptr(const struct vm *vm, gpa_t gpa, u64 size)
{
	const struct mem_region *low = vm->memory.regions; /* nearly everything is in low RAM */

	if (likely(gpa.a + size <= low->size && gpa.a <= gpa.a + size && low->start.a == 0 &&
		   low->kind == MEM_RAM))
		return hpa_ptr(hpa_add(low->host, gpa.a));
	return vm_ptr_anywhere(vm, gpa, size);
}

/* ---- registers ------------------------------------------------------------------------------- */
static inline u64 vcpu_get(struct vcpu *vcpu, enum vreg reg)
{
	return cpu->get(vcpu, reg);
}

static inline void vcpu_set(struct vcpu *vcpu, enum vreg reg, u64 value)
{
	cpu->set(vcpu, reg, value);
}

/** vcpu_gpr() - a general register, RSP included. */
static inline u64 vcpu_gpr(struct vcpu *vcpu, enum gpr reg)
{
	return reg == GPR_RSP ? cpu->get(vcpu, VREG_RSP) : vcpu->gpr[reg];
}

static inline void vcpu_set_gpr(struct vcpu *vcpu, enum gpr reg, u64 value)
{
	if (reg == GPR_RSP)
		cpu->set(vcpu, VREG_RSP, value);
	else
		vcpu->gpr[reg] = value;
}

#endif
