/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_vm.h: a VM for tests of devices: real hooks, interrupt lines, timers, memory and console of
 * src/vmm on a machine with a clock that stands still until a test moves it.
 */
#ifndef TESTS_UNIT_FAKE_VM_H
#define TESTS_UNIT_FAKE_VM_H

#include "vmm/device.h"
#include "vmm/vm.h"

#define FAKE_RAM_SIZE	 (64 * KIB)
#define FAKE_DEVICES_MAX 8
#define FAKE_RTC	 1700000000ull /* 2023-11-14 22:13:20 UTC, a Tuesday: at clock 0 */
#define FAKE_TSC_KHZ	 2500000ull    /* unless a test changes fake_tsc_khz */
#define FAKE_SECOND	 1000000000ull

struct fake_vm {
	struct vm vm;
	struct vcpu vcpu;
	u8 *ram; /* FAKE_RAM_SIZE bytes at guest physical 0 */
	const struct device_class *devices[FAKE_DEVICES_MAX];
	unsigned device_count;
};

/* ---- the machine ------------------------------------------------------------------------ */

extern u64 fake_tsc_khz;
/** fake_clock_reset() - clock 0, an empty console. fake_vm_create() does it. */
void fake_clock_reset(void);
/** fake_run_to() - move the clock to host_now() == @ns, running the timers that expire on the way.
 */
void fake_run_to(u64 ns);
/** fake_run() - the same, @ns from now. */
void fake_run(u64 ns);
/** fake_skip() - move the clock and let no timer run: a host that is busy elsewhere. */
void fake_skip(u64 ns);
/** fake_type(), fake_type_bytes() - somebody types; the VM's UART hears of it. */
void fake_type(const char *text);
void fake_type_bytes(const char *bytes, size_t n);
/** fake_typed_left() - bytes that were typed and nobody has read. */
size_t fake_typed_left(void);
/** fake_output() - what was written to the console since the last call; at most 255 bytes. */
const char *fake_output(void);

/* ---- the VM ----------------------------------------------------------------------------- */

/** fake_vm_create() - a VM with the devices of these names, separated by spaces. */
void fake_vm_create(struct fake_vm *f, const char *devices);
/** fake_vm_destroy() - take it apart; the test fails if a device has left a timer armed. */
void fake_vm_destroy(struct fake_vm *f);

static inline u8 fake_in(struct fake_vm *f, u16 port)
{
	return vm_in(&f->vm, port, 1);
}

static inline void fake_out(struct fake_vm *f, u16 port, u8 value)
{
	vm_out(&f->vm, port, 1, value);
}

/** fake_line() - the level of an interrupt line. */
bool fake_line(const struct fake_vm *f, unsigned line);
/** fake_take() - the processor takes an interrupt if INTR is up. Return: its vector, or -1. */
int fake_take(struct fake_vm *f);

#endif
