/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.c: the serial line COM1, 115200 baud, 8 data bits, no parity, 1 stop bit.
 *
 * Output is polled: when the transmitter is empty it takes 16 bytes (the size of its FIFO) without
 * being asked again, and one REP OUTSB delivers them, so a byte costs little more than the
 * instruction. Input comes by interrupt, IRQ 4, into a ring, because nobody knows when somebody
 * types. The chip is a 16550A: National Semiconductor PC16550D data sheet, §8.
 */
#include "host/host.h"
#include "host/cpu.h"
#include "host/internal.h"
#include "lib/print.h"

#define COM1	  0x3f8
#define COM1_IRQ  4
#define FIFO_SIZE 16

/* Registers; with DLAB, the first two are the divisor. */
enum { UART_DATA = COM1, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR };

#define IER_RECEIVED 0x01
#define FCR_ENABLE   0x07 /* FIFOs on and empty; an interrupt for every byte received */
#define MCR_ON	     0x0b /* DTR, RTS, and OUT2, which on a PC connects the interrupt */
enum { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
enum { LSR_RECEIVED = 0x01, LSR_THR_EMPTY = 0x20, LSR_ALL_SENT = 0x40, LSR_NO_CHIP = 0xff };

/* Typed bytes that nobody has read yet: those from @taken up to @filled, modulo the size. */
static u8 ring[256];
static u8 taken, filled;

/* What finds no room stays in the chip, and is fetched when the ring has been read empty. */
static void receive(void)
{
	u8 status;

	while ((u8)(filled + 1) != taken && (status = inb(UART_LSR)) & LSR_RECEIVED &&
	       status != LSR_NO_CHIP)
		ring[filled++] = inb(UART_DATA);
}

void console_write(const char *text, size_t n)
{
	while (n) {
		size_t batch = min(n, (size_t)FIFO_SIZE);

		n -= batch;
		while (!(inb(UART_LSR) & LSR_THR_EMPTY))
			cpu_relax();
		__asm__ volatile("rep outsb"
				 : "+S"(text), "+c"(batch)
				 : "d"((u16)UART_DATA)
				 : "memory");
	}
}

void console_flush(void)
{
	while (!(inb(UART_LSR) & LSR_ALL_SENT))
		cpu_relax();
}

/* print()'s sink: a terminal wants a carriage return before each line feed. */
static void write_text(const char *text, size_t n)
{
	size_t start = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] != '\n')
			continue;
		console_write(text + start, i - start);
		console_write("\r\n", 2);
		start = i + 1;
	}
	console_write(text + start, n - start);
}

void console_init(void)
{
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DLAB);
	outb(UART_DATA, 1); /* 115200 baud */
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_8N1);
	outb(UART_MCR, MCR_ON);
	receive(); /* switching the FIFO on would throw away what was typed during boot */
	outb(UART_FCR, FCR_ENABLE);
	print_sink = write_text;
}

void console_init_input(void)
{
	irq_handle(COM1_IRQ, receive);
	outb(UART_IER, IER_RECEIVED);
}

int console_read(void)
{
	if (taken == filled)
		receive();
	return taken == filled ? -1 : ring[taken++];
}
