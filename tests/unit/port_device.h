/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_device.h: a guest at an IN, OUT, INS or OUTS, and a device at the port.
 *
 * The device answers reads with bytes that count upwards from 0x81, and keeps what is written.
 */
#ifndef TESTS_UNIT_PORT_DEVICE_H
#define TESTS_UNIT_PORT_DEVICE_H

#include "fake_guest.h"

#define PORT 0x1f0 /* and the three behind it */

struct port_device {
	u8 next;
	u8 written[64 * KIB];
	unsigned count;	  /* accesses */
	unsigned bytes;	  /* written */
	unsigned stop_at; /* the access at which the VM is stopped */
};

extern struct fake_machine port_m;
extern struct vcpu *port_vcpu;
extern struct port_device port_dev;

/** port_setup_64(), … - make that guest; all address registers are zero. */
void port_setup_64(void);
void port_setup_32(void);
void port_setup_16(void);
void port_teardown(void);

#define IN_  BIT(0)
#define STR_ BIT(1)
#define REP_ BIT(2)
/** port_io() - an exit for port I/O. Return: what vcpu_io_exit() says. */
int port_io(int size, unsigned what);
/** port_string() - INS or OUTS at PORT; it must go well, as far as Casita is concerned. */
void port_string(int size, unsigned what);

/** port_set(), assert_port_regs() - RCX, RSI and RDI. */
void port_set(u64 cx, u64 si, u64 di);
void assert_port_regs(u64 cx, u64 si, u64 di);
/** assert_port_ram() - just these bytes have been written there. */
void assert_port_ram(u64 gpa, const char *bytes, size_t n);

#endif
