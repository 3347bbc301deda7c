/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_vm.c: the machine beneath vmm/, and a VM with some devices on it; see fake_vm.h.
 *
 * What may be linked with other tests in its real form is weak here.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "fake_vm.h"
#include "host/host.h"
#include "lib/print.h"
#include "vmm/timer.h"

/* Devices have no use for a processor, but what raises their lines does; fake_cpu.c has a better one. */
__attribute__((weak)) const struct cpu_ops *cpu;
__attribute__((weak)) bool pages_take(hpa_t p, u64 bytes)
{
	(void)p, (void)bytes;
	return false;
}

#define TIMER_LIMIT 1000000 /* timers that one fake_run() may expire: more is a storm */

/* ---- the machine ------------------------------------------------------------------------ */

u64 fake_tsc_khz = FAKE_TSC_KHZ;
static u64 now;
static char typed[256], output[256];
static size_t typed_first, typed_count, output_count;

u64 host_now(void)
{
	return now;
}

u64 host_rtc(void)
{
	return FAKE_RTC;
}

u64 host_tsc_khz(void)
{
	return fake_tsc_khz;
}

void host_timer_set(u64 when)
{
	(void)when; /* fake_run_to() looks for itself */
}

int console_read(void)
{
	return typed_first < typed_count ? (u8)typed[typed_first++] : -1;
}

void console_write(const char *text, size_t n)
{
	ck_assert_uint_lt(output_count + n, sizeof(output));
	memcpy(output + output_count, text, n);
	output_count += n;
}

__attribute__((weak)) hpa_t pages_alloc(u64 bytes, u64 align)
{
	return ptr_hpa(aligned_alloc(align, bytes));
}

__attribute__((weak)) void *pages_alloc_zero(u64 bytes, u64 align)
{
	return memset(aligned_alloc(align, bytes), 0, bytes);
}

__attribute__((weak)) void pages_free(hpa_t p, u64 bytes, bool scrub)
{
	if (scrub)
		memset(hpa_ptr(p), 0, bytes);
	free(hpa_ptr(p));
}

__attribute__((weak)) u64 pages_available(u64 *largest)
{
	if (largest)
		*largest = GIB;
	return GIB;
}

void fake_clock_reset(void)
{
	now = 0;
	fake_tsc_khz = FAKE_TSC_KHZ;
	typed_first = typed_count = output_count = 0;
}

void fake_run_to(u64 ns)
{
	for (unsigned i = 0; timers_next() <= ns; i++) {
		ck_assert_msg(i < TIMER_LIMIT, "a timer that does not come to rest");
		now = max(now, timers_next());
		timers_run(now);
	}
	now = ns;
}

void fake_run(u64 ns)
{
	fake_run_to(now + ns);
}

void fake_skip(u64 ns)
{
	now += ns;
}

void fake_type(const char *text)
{
	fake_type_bytes(text, strlen(text));
}

void fake_type_bytes(const char *text, size_t n)
{
	ck_assert_uint_le(typed_count + n, sizeof(typed));
	memcpy(typed + typed_count, text, n);
	typed_count += n;
	vm_console_poll();
}

size_t fake_typed_left(void)
{
	return typed_count - typed_first;
}

const char *fake_output(void)
{
	output[output_count] = 0;
	output_count = 0;
	return output;
}

/* ---- what vmm/vm.c does ----------------------------------------------------------------- */

__attribute__((weak)) void vm_stop(struct vm *vm, enum vm_state why)
{
	if (vm->state == VM_RUNNING)
		vm->state = why;
}

__attribute__((weak)) int vm_fail(struct vm *vm, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_format_v(vm->reason, sizeof(vm->reason), fmt, ap);
	va_end(ap);
	return error;
}

__attribute__((weak)) void *device_alloc(struct vm *vm, size_t bytes)
{
	void *memory = calloc(1, bytes);

	ck_assert_uint_lt(vm->device_alloc_count, VM_DEVICE_ALLOCS);
	vm->device_allocs[vm->device_alloc_count].memory = memory;
	vm->device_allocs[vm->device_alloc_count++].bytes = bytes;
	return memory;
}

static const struct device_class *find_device(const char *name, size_t n)
{
	const struct device_class *const *it;

	set_for_each (devices, it) {
		if (strlen((*it)->name) == n && !strncmp((*it)->name, name, n))
			return *it;
	}
	ck_abort_msg("no device %.*s is linked", (int)n, name);
	return NULL;
}

void fake_vm_create(struct fake_vm *f, const char *devices)
{
	const struct device_class *device;
	size_t n;

	fake_clock_reset();
	memset(f, 0, sizeof(*f));
	f->vm.vcpu = &f->vcpu;
	f->vcpu.vm = &f->vm;
	vm_console_focus(&f->vm, 1);
	f->ram = aligned_alloc(PAGE_SIZE, FAKE_RAM_SIZE);
	memset(f->ram, 0, FAKE_RAM_SIZE);
	ck_assert_int_eq(vm_add_ram(&f->vm, GPA(0), FAKE_RAM_SIZE, ptr_hpa(f->ram)), 0);
	for (; *devices; devices += n + (devices[n] == ' ')) {
		n = strcspn(devices, " ");
		device = find_device(devices, n);
		ck_assert_int_eq(device->create(&f->vm), 0);
		f->devices[f->device_count++] = device;
	}
}

void fake_vm_destroy(struct fake_vm *f)
{
	for (unsigned i = 0; i < f->device_count; i++) {
		if (f->devices[i]->destroy)
			f->devices[i]->destroy(&f->vm);
	}
	ck_assert_uint_eq(timers_next(), HOST_TIMER_NEVER);
	for (unsigned i = 0; i < f->vm.device_alloc_count; i++)
		free(f->vm.device_allocs[i].memory);
	vm_console_end(&f->vm);
	free(f->ram);
}

bool fake_line(const struct fake_vm *f, unsigned line)
{
	return f->vm.irq.lines >> line & 1;
}

int fake_take(struct fake_vm *f)
{
	struct irq_chip *chip = &f->vm.irq.chip;
	int vector = f->vm.intr ? chip->peek(chip->opaque) : -1;

	if (vector >= 0)
		chip->ack(chip->opaque);
	return vector;
}
