/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uart.c: a 16550A serial port, COM1, the console of its VM.
 *
 * What it is for. Bytes written to it appear on the console, bytes typed there can be read from it.
 *
 * How the chip works. Eight ports from 3f8. DLAB, the top bit of LCR, shows the divisor of the baud
 * rate in the first two:
 *
 *	+0  RBR (read) the next byte received;  THR (write) the next byte to send;  DLAB: DLL
 *	+1  IER which interrupts: 0 received data, 1 THR empty, 2 line status, 3 modem;  DLAB: DLM
 *	+2  IIR (read) which interrupt it is: bit 0 clear if any, bits 3-1 which, 7-6 FIFOs are on
 *	    FCR (write): 0 FIFOs on, 1 and 2 empty them, 7-6 bytes that make an interrupt
 *	+3  LCR format of the line, and DLAB
 *	+4  MCR modem lines out: 0 DTR, 1 RTS, 2 OUT1, 3 OUT2;  4 loop back
 *	+5  LSR: 0 data ready, 1 overrun, 5 THR empty, 6 all sent
 *	+6  MSR modem lines in: 4 CTS, 5 DSR, 6 RI, 7 DCD; 3-0 which have changed since it was read
 *	+7  SCR eight bits for anybody
 *
 * In a PC, OUT2 is the switch between the chip's interrupt output and IRQ4.
 *
 * How we emulate it. The line is infinitely fast: what is written has been sent, so THR is always
 * empty. That, too, is an interrupt, which comes after each byte and when software asks for it, and
 * which a read of IIR that reports it takes back. Nothing is ever on its way in, either: when fewer
 * bytes than the trigger level are in the FIFO the line has fallen silent, and the character
 * time-out comes at once.
 *
 * Bytes wait in the console until the guest is listening: its receive interrupt is on and
 * connected, or it polls. Otherwise a Linux that tries out IER, empties the FIFO and reads RBR
 * before it is ready would lose what was typed while it was booting. Who writes reads LSR once a
 * byte, too; so a guest polls if, since it set up its interrupts or its FIFOs, it has read LSR eight
 * times oftener than it has written.
 *
 * National Semiconductor PC16550D data sheet (TL/C/8652).
 */
#include "vmm/device.h"
#include "vmm/vm.h"

enum { UART_PORT = 0x3f8, UART_PORTS = 8, UART_IRQ = 4, FIFO_SIZE = 16 };

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

enum { IER_RECEIVED = BIT(0), IER_THR_EMPTY = BIT(1), IER_LINE = BIT(2), IER_MODEM = BIT(3) };
enum { IIR_MODEM, IIR_NONE, IIR_THR_EMPTY, IIR_RECEIVED = 4, IIR_LINE = 6, IIR_TIMEOUT = 12 };
enum { FCR_ENABLE = BIT(0), FCR_CLEAR_IN = BIT(1) };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_READY = BIT(0), LSR_OVERRUN = BIT(1), LSR_THR_EMPTY = BIT(5), LSR_ALL_SENT = BIT(6) };
enum { MSR_CTS = BIT(4), MSR_DSR = BIT(5), MSR_RI = BIT(6), MSR_DCD = BIT(7) };

#define IER_BITS	0x0f
#define IIR_FIFOS	0xc0
#define FCR_TRIGGER(v)	((v) >> 6)
#define LCR_DLAB	BIT(7)
#define MCR_BITS	0x1f
#define MSR_DELTA_SHIFT 4  /* bit n has changed: bit n - 4 */
#define DIVISOR_RESET	12 /* 9600 baud */
#define POLLS_TO_LISTEN 8

struct uart {
	struct vm *vm;
	u8 ier, lcr, mcr, scr, divisor[2], msr_delta;
	bool overrun, fifo_on;
	bool thr_empty_pending; /* the interrupt; THR is always empty */
	u8 trigger;		/* bytes in the FIFO that make an interrupt */
	unsigned polls;		/* LSR reads, less writes to THR */

	u8 fifo[FIFO_SIZE]; /* without FIFOs, the first place of it */
	unsigned first, count;
};

/* ---- interrupts ------------------------------------------------------------------------------ */

/* The most important interrupt that is asked for and on. */
static u8 uart_interrupt(const struct uart *u)
{
	if ((u->ier & IER_LINE) && u->overrun)
		return IIR_LINE;
	if ((u->ier & IER_RECEIVED) && u->count)
		return u->fifo_on && u->count < u->trigger ? IIR_TIMEOUT : IIR_RECEIVED;
	if ((u->ier & IER_THR_EMPTY) && u->thr_empty_pending)
		return IIR_THR_EMPTY;
	if ((u->ier & IER_MODEM) && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

/* Loop back takes the modem outputs off their pins, OUT2 among them. */
static bool uart_connected(const struct uart *u)
{
	return (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
}

static void uart_update(struct uart *u)
{
	vm_irq(u->vm, UART_IRQ, uart_connected(u) && uart_interrupt(u) != IIR_NONE);
}

/* ---- bytes in and out ------------------------------------------------------------------------ */

static unsigned uart_room(const struct uart *u)
{
	return (u->fifo_on ? FIFO_SIZE : 1) - u->count;
}

static void uart_push(struct uart *u, u8 byte)
{
	u->fifo[(u->first + u->count++) % FIFO_SIZE] = byte;
}

/* Take up to @most bytes that were typed, as far as there is room. */
static void uart_pull(struct uart *u, unsigned most)
{
	int byte;

	if (u->mcr & MCR_LOOP)
		return;
	for (most = min(most, uart_room(u)); most; most--) {
		byte = vm_console_read(u->vm);
		if (byte < 0)
			return;
		uart_push(u, byte);
	}
}

static void uart_listen(struct uart *u)
{
	if ((u->ier & IER_RECEIVED) && uart_connected(u))
		uart_pull(u, FIFO_SIZE);
}

static void uart_input_ready(void *opaque)
{
	struct uart *u = opaque;

	uart_listen(u);
	uart_update(u);
}

static u8 uart_read_rbr(struct uart *u)
{
	u8 byte = u->fifo[u->first];

	if (!u->count)
		return byte;
	u->first = (u->first + 1) % FIFO_SIZE;
	if (--u->count == 0)
		uart_listen(u);
	return byte;
}

static void uart_write_thr(struct uart *u, u8 byte)
{
	u->thr_empty_pending = true;
	if (u->polls)
		u->polls--;
	if (!(u->mcr & MCR_LOOP)) {
		vm_console_write(u->vm, byte);
	} else if (uart_room(u)) {
		uart_push(u, byte);
	} else {
		u->overrun = true;
		if (!u->fifo_on) /* RBR is overwritten; a full FIFO stays as it is */
			u->fifo[u->first] = byte;
	}
}

/* ---- registers ------------------------------------------------------------------------------- */

/* The modem is there and ready; in loop back, our own outputs come back. */
static u8 uart_modem_lines(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void uart_write_mcr(struct uart *u, u8 value)
{
	u8 before = uart_modem_lines(u), changed;

	u->mcr = value & MCR_BITS;
	changed = before ^ uart_modem_lines(u);
	if (!(before & MSR_RI))
		changed &= ~MSR_RI; /* of RI, only the end is told */
	u->msr_delta |= changed >> MSR_DELTA_SHIFT;
	uart_listen(u);
}

static void uart_write_ier(struct uart *u, u8 value)
{
	if (value & ~u->ier & IER_THR_EMPTY)
		u->thr_empty_pending = true;
	u->ier = value & IER_BITS;
	u->polls = 0;
	uart_listen(u);
}

static void uart_write_fcr(struct uart *u, u8 value)
{
	static const u8 triggers[] = {1, 4, 8, 14};
	bool on = value & FCR_ENABLE;

	u->polls = 0;
	/*
	 * Switching the FIFOs on should empty them as well. But Linux does that when its interrupts
	 * are on already, and the byte that it loses is the first that somebody typed.
	 */
	if ((!on && u->fifo_on) || (on && (value & FCR_CLEAR_IN)))
		u->first = u->count = 0;
	u->fifo_on = on;
	if (on) /* the other bits count only together with this one */
		u->trigger = triggers[FCR_TRIGGER(value)];
	uart_listen(u);
}

static u8 uart_read_lsr(struct uart *u)
{
	u8 value = LSR_THR_EMPTY | LSR_ALL_SENT;

	if (u->polls < POLLS_TO_LISTEN)
		u->polls++;
	else if (!u->count)
		uart_pull(u, 1);
	value |= (u->count ? LSR_READY : 0) | (u->overrun ? LSR_OVERRUN : 0);
	u->overrun = false;
	return value;
}

static u32 uart_in(void *opaque, u16 port, int size)
{
	struct uart *u = opaque;
	unsigned reg = port - UART_PORT;
	bool dlab = u->lcr & LCR_DLAB;
	u8 value = u->scr;

	if (dlab && reg <= IER) {
		value = u->divisor[reg];
	} else if (reg == RBR || reg == IER) {
		value = reg == RBR ? uart_read_rbr(u) : u->ier;
	} else if (reg == IIR) {
		value = uart_interrupt(u);
		if (value == IIR_THR_EMPTY)
			u->thr_empty_pending = false;
		value |= u->fifo_on ? IIR_FIFOS : 0;
	} else if (reg == LCR || reg == MCR) {
		value = reg == LCR ? u->lcr : u->mcr;
	} else if (reg == LSR) {
		value = uart_read_lsr(u);
	} else if (reg == MSR) {
		value = uart_modem_lines(u) | u->msr_delta;
		u->msr_delta = 0;
	}
	uart_update(u);
	return value;
}

static void uart_out(void *opaque, u16 port, int size, u32 value)
{
	struct uart *u = opaque;
	unsigned reg = port - UART_PORT;
	bool dlab = u->lcr & LCR_DLAB;

	if (dlab && reg <= IER)
		u->divisor[reg] = value;
	else if (reg == RBR)
		uart_write_thr(u, value);
	else if (reg == IER)
		uart_write_ier(u, value);
	else if (reg == IIR)
		uart_write_fcr(u, value);
	else if (reg == LCR)
		u->lcr = value;
	else if (reg == MCR)
		uart_write_mcr(u, value);
	else if (reg == SCR)
		u->scr = value;
	uart_update(u); /* LSR and MSR are not for writing */
}

static int uart_create(struct vm *vm)
{
	struct uart *u = device_alloc(vm, sizeof(*u));
	struct io_hook hook = {UART_PORT, UART_PORT + UART_PORTS - 1, 1, uart_in, uart_out, u};

	if (!u)
		return -ENOMEM;
	u->vm = vm;
	u->divisor[0] = DIVISOR_RESET;
	vm_console_input(vm, uart_input_ready, u);
	return vm_hook_io(vm, &hook);
}

static const struct device_class uart_class = {.name = "uart", .create = uart_create};
DEVICE(uart_class);
