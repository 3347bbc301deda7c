/* SPDX-License-Identifier: BSD-3-Clause */
/* port_device.c: a guest at port I/O, and a device at the port; see port_device.h. */
#include <check.h>
#include <string.h>
#include "port_device.h"

struct fake_machine port_m;
struct vcpu *port_vcpu;
struct port_device port_dev;

static u32 dev_in(void *opaque, u16 port, int size)
{
	u32 value = 0;

	(void)opaque;
	ck_assert_uint_eq(port, PORT);
	for (int i = 0; i < size; i++)
		value |= (u32)port_dev.next++ << 8 * i;
	if (++port_dev.count == port_dev.stop_at)
		vm_stop(&port_m.vm, VM_EXITED);
	return value;
}

static void dev_out(void *opaque, u16 port, int size, u32 value)
{
	(void)opaque;
	ck_assert_uint_eq(port, PORT);
	memcpy(port_dev.written + port_dev.bytes, &value, size);
	port_dev.bytes += size;
	if (++port_dev.count == port_dev.stop_at)
		vm_stop(&port_m.vm, VM_EXITED);
}

static void create(enum code_size code)
{
	struct io_hook hook = {PORT, PORT + 3, 4, dev_in, dev_out, NULL};

	fake_guest_create(&port_m, code);
	port_vcpu = &port_m.vcpu;
	memset(&port_dev, 0, sizeof(port_dev));
	port_dev.next = 0x81;
	ck_assert_int_eq(vm_hook_io(&port_m.vm, &hook), 0);
	port_vcpu->gpr[GPR_RCX] = port_vcpu->gpr[GPR_RSI] = port_vcpu->gpr[GPR_RDI] = 0;
}

void port_teardown(void)
{
	fake_guest_destroy(&port_m);
}

void port_setup_64(void)
{
	create(CODE_64);
}

void port_setup_32(void)
{
	create(CODE_32);
}

void port_setup_16(void)
{
	create(CODE_16);
}

int port_io(int size, unsigned what)
{
	struct exit exit = fake_exit(&port_m, EXIT_IO);

	exit.io.port = PORT;
	exit.io.size = size;
	exit.io.in = what & IN_;
	exit.io.string = what & STR_;
	exit.io.rep = what & REP_;
	return vcpu_io_exit(port_vcpu, &exit);
}

void port_string(int size, unsigned what)
{
	ck_assert_int_eq(port_io(size, what | STR_), 0);
}

void port_set(u64 cx, u64 si, u64 di)
{
	port_vcpu->gpr[GPR_RCX] = cx;
	port_vcpu->gpr[GPR_RSI] = si;
	port_vcpu->gpr[GPR_RDI] = di;
}

void assert_port_regs(u64 cx, u64 si, u64 di)
{
	ck_assert_uint_eq(port_vcpu->gpr[GPR_RCX], cx);
	ck_assert_uint_eq(port_vcpu->gpr[GPR_RSI], si);
	ck_assert_uint_eq(port_vcpu->gpr[GPR_RDI], di);
}

void assert_port_ram(u64 gpa, const char *bytes, size_t n)
{
	ck_assert_mem_eq(fake_ram(&port_m, gpa), bytes, n);
	ck_assert_uint_eq(*fake_ram(&port_m, gpa - 1), RAM_FILL);
	ck_assert_uint_eq(*fake_ram(&port_m, gpa + n), RAM_FILL);
}
