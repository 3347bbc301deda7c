/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preset.c: a machine to order: CPUID leaves, MSRs and ports as the words of the VM's module say.
 *
 *	cpuid=0x40000100:1:2:3:4	the leaf answers these four registers
 *	msr=0x4b000000:0x1234		RDMSR gives the value, WRMSR changes it
 *	io=0x7000:0xabcd		a register of four ports: IN gives it, OUT changes it
 *
 * Several have a + between. A grader orders machines that nobody has seen before, so that a guest's
 * answers cannot have been written down beforehand.
 */
#include "vmm/device.h"
#include "vmm/vm.h"

#define PRESETS_MAX 8 /* of each kind */
#define PORTS_EACH  4

struct preset {
	u64 value[5]; /* as many as its form has */
};

/* Read groups of @fields numbers, with : between numbers and + between groups. Return: how many. */
static int read_groups(struct word all, unsigned fields, struct preset *out)
{
	const char *at = all.text, *end = all.text + all.n;
	unsigned n = 0; /* numbers so far */

	for (; at && at <= end; at++) {
		const char *start = at;

		while (at < end && *at != ':' && *at != '+')
			at++;
		if (n == PRESETS_MAX * fields ||
		    str_to_u64(start, at - start, &out[n / fields].value[n % fields]))
			return -EINVAL;
		n++;
		if (at < end && *at != (n % fields ? ':' : '+'))
			return -EINVAL;
	}
	return n % fields ? -EINVAL : (int)(n / fields);
}

static void preset_cpuid(struct vcpu *vcpu, u32 leaf, u32 subleaf, struct cpuid_regs *regs,
			 void *opaque)
{
	const struct preset *p = opaque;

	*regs = (struct cpuid_regs){p->value[1], p->value[2], p->value[3], p->value[4]};
}

static int preset_rdmsr(struct vcpu *vcpu, u32 msr, u64 *value, void *opaque)
{
	const struct preset *p = opaque;

	*value = p->value[1];
	return 0;
}

static int preset_wrmsr(struct vcpu *vcpu, u32 msr, u64 value, void *opaque)
{
	struct preset *p = opaque;

	p->value[1] = value;
	return 0;
}

static u32 preset_in(void *opaque, u16 port, int size)
{
	const struct preset *p = opaque;

	return p->value[1] >> 8 * (port - (u16)p->value[0]);
}

static void preset_out(void *opaque, u16 port, int size, u32 value)
{
	struct preset *p = opaque;
	unsigned shift = 8 * (port - (u16)p->value[0]);
	u64 mask = (BIT(8 * size) - 1) << shift;

	p->value[1] = (p->value[1] & ~mask) | ((u64)value << shift & mask);
}

static int add_cpuid(struct vm *vm, struct preset *p)
{
	struct cpuid_hook hook = {p->value[0], p->value[0], preset_cpuid, p};

	return vm_hook_cpuid(vm, &hook);
}

static int add_msr(struct vm *vm, struct preset *p)
{
	struct msr_hook hook = {p->value[0], p->value[0], preset_rdmsr, preset_wrmsr, p};

	return vm_hook_msr(vm, &hook);
}

static int add_io(struct vm *vm, struct preset *p)
{
	u16 port = p->value[0];
	struct io_hook hook = {port, port + PORTS_EACH - 1, 4, preset_in, preset_out, p};

	return vm_hook_io(vm, &hook);
}

static int add_all(struct vm *vm, const char *key, struct word all, unsigned fields,
		   const char *form, int (*add)(struct vm *vm, struct preset *p))
{
	struct preset *presets = all.text ? device_alloc(vm, PRESETS_MAX * sizeof(*presets)) : NULL;
	int n, err = 0;

	if (all.text && !presets)
		return -ENOMEM;
	n = read_groups(all, fields, presets);
	if (n < 0)
		return vm_fail(vm, n, "%s=%.*s: it must be %s, at most 8 of them with + between",
			       key, WORD(all), form);
	for (int i = 0; i < n && !err; i++)
		err = add(vm, &presets[i]);
	if (err)
		vm_fail(vm, err, "%s=%.*s: one of these is taken, or out of range", key, WORD(all));
	return err;
}

static int preset_create(struct vm *vm)
{
	const struct vm_config *c = vm->config;

	return add_all(vm, "cpuid", c->cpuid, 5, "LEAF:EAX:EBX:ECX:EDX", add_cpuid) ?:
	       add_all(vm, "msr", c->msr, 2, "NUMBER:VALUE", add_msr) ?:
	       add_all(vm, "io", c->io, 2, "PORT:VALUE", add_io);
}

static const struct device_class preset_class = {.name = "preset", .create = preset_create};
DEVICE(preset_class);
