/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_uart.c: the 16550A. The sequences named after Linux are what its 8250 driver does to find
 * out what it has; a port that answers them wrongly is not found, or works by a slow timer.
 */
#include <stdlib.h>
#include <string.h>
#include "fake_vm.h"
#include "suite.h"

enum { RBR = 0x3f8, THR = 0x3f8, IER, IIR, FCR = 0x3fa, LCR, MCR, LSR, MSR, SCR };

#define IRQ	  4
#define NO_IRQ	  0x01 /* of IIR */
#define RECEIVED  0x04
#define TIMEOUT	  0x0c
#define THR_EMPTY 0x02
#define LINE	  0x06
#define MODEM	  0x00
#define FIFOS	  0xc0
#define IDLE	  0x60 /* of LSR: nothing to read, nothing to send */
#define READY	  0x01
#define OVERRUN	  0x02
#define LOOP	  0x10
#define OUT2	  0x08

static struct fake_vm f;

static void setup(void)
{
	fake_vm_create(&f, "uart");
	fake_out(&f, MCR, OUT2);
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

static bool irq(void)
{
	return fake_line(&f, IRQ);
}

/* ---- registers -------------------------------------------------------------------------- */

START_TEST(registers_after_a_reset)
{
	fake_vm_destroy(&f);
	fake_vm_create(&f, "uart");
	ck_assert_uint_eq(fake_in(&f, IER), 0);
	ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
	ck_assert_uint_eq(fake_in(&f, LCR), 0);
	ck_assert_uint_eq(fake_in(&f, MCR), 0);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert_uint_eq(fake_in(&f, MSR), 0xb0);
	ck_assert(!irq());
	fake_out(&f, LCR, 0x80);
	ck_assert_uint_eq(fake_in(&f, RBR) | fake_in(&f, IER), 12); /* 9600 baud */
}
END_TEST

START_TEST(registers_keep_what_can_be_written)
{
	fake_out(&f, SCR, 0x5a);
	fake_out(&f, IER, 0xff);
	fake_out(&f, MCR, 0xff);
	fake_out(&f, LSR, 0x00);
	fake_out(&f, LCR, 0x7f);
	ck_assert_uint_eq(fake_in(&f, SCR), 0x5a);
	ck_assert_uint_eq(fake_in(&f, IER), 0x0f);
	ck_assert_uint_eq(fake_in(&f, MCR), 0x1f);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert_uint_eq(fake_in(&f, LCR), 0x7f);
}
END_TEST

START_TEST(dlab_shows_the_divisor)
{
	fake_out(&f, IER, 0x05);
	fake_out(&f, LCR, 0x83);
	fake_out(&f, THR, 0x01);
	fake_out(&f, IER, 0x02);
	ck_assert_uint_eq(fake_in(&f, RBR), 0x01);
	ck_assert_uint_eq(fake_in(&f, IER), 0x02);
	fake_out(&f, LCR, 0x03);
	ck_assert_uint_eq(fake_in(&f, IER), 0x05);
	ck_assert_str_eq(fake_output(), "");
	ck_assert_uint_eq(fake_in(&f, LCR), 0x03);
}
END_TEST

START_TEST(wide_accesses_are_narrow_ones)
{
	vm_out(&f.vm, LCR, 2, 0x0803); /* LCR and MCR */
	ck_assert_uint_eq(vm_in(&f.vm, LCR, 2), 0x0803);
	fake_out(&f, SCR, 0x77);
	ck_assert_uint_eq(vm_in(&f.vm, SCR, 2), 0xff77); /* 400 floats */
}
END_TEST

/* ---- out -------------------------------------------------------------------------------- */

START_TEST(bytes_go_out)
{
	for (const char *s = "hello\r\n"; *s; s++) {
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
		fake_out(&f, THR, *s);
	}
	ck_assert_str_eq(fake_output(), "hello\r\n");
	ck_assert(!irq());
}
END_TEST

START_TEST(thr_empty_interrupts_after_each_byte)
{
	fake_out(&f, IER, 0x02); /* it is empty: at once */
	ck_assert(irq());
	ck_assert_uint_eq(fake_in(&f, IIR), THR_EMPTY);
	ck_assert(!irq()); /* told */
	ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
	fake_out(&f, THR, 'x');
	ck_assert(irq());
	fake_out(&f, IER, 0x02); /* was on already: nothing new */
	ck_assert_uint_eq(fake_in(&f, IIR), THR_EMPTY);
	fake_out(&f, IER, 0x02);
	ck_assert(!irq());
	fake_out(&f, THR, 'x');
	fake_out(&f, IER, 0x00);
	ck_assert(!irq());
	ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
}
END_TEST

START_TEST(linux_tests_that_thr_empty_comes_again)
{
	for (int i = 0; i < 2; i++) {
		fake_out(&f, IER, 0x02);
		ck_assert_uint_eq(fake_in(&f, IIR) & NO_IRQ, 0);
		fake_out(&f, IER, 0x00);
		ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
	}
	fake_out(&f, IER, 0x02);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert_uint_eq(fake_in(&f, IIR) & NO_IRQ, 0);
}
END_TEST

/* ---- in --------------------------------------------------------------------------------- */

START_TEST(bytes_come_in)
{
	fake_out(&f, FCR, 0x01);
	fake_out(&f, IER, 0x01);
	fake_type("abc");
	ck_assert(irq());
	for (const char *s = "abc"; *s; s++) {
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
		ck_assert_uint_eq(fake_in(&f, IIR), FIFOS | RECEIVED);
		ck_assert_uint_eq(fake_in(&f, RBR), *s);
	}
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert(!irq());
}
END_TEST

START_TEST(nothing_is_lost_however_much_is_typed)
{
	char text[200];

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = 'a' + i % 26;
	text[sizeof(text) - 1] = 0;
	for (int fifo = 0; fifo < 2; fifo++) {
		fake_out(&f, FCR, fifo);
		fake_out(&f, IER, 0x01);
		fake_clock_reset();
		fake_type(text);
		ck_assert_uint_eq(fake_typed_left(), strlen(text) - (fifo ? 16 : 1));
		for (const char *s = text; *s; s++) {
			ck_assert(irq());
			ck_assert_uint_eq(fake_in(&f, RBR), *s);
		}
		ck_assert(!irq());
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	}
}
END_TEST

START_TEST(the_trigger_level_tells_data_from_time_out)
{
	static const u8 levels[] = {1, 4, 8, 14};

	fake_out(&f, IER, 0x01);
	for (unsigned i = 0; i < 4; i++) {
		fake_out(&f, FCR, 0x01 | i << 6);
		fake_type("0123456789abcdef");
		for (unsigned left = 16; left; left--) {
			ck_assert(irq());
			ck_assert_uint_eq(fake_in(&f, IIR),
					  FIFOS | (left >= levels[i] ? RECEIVED : TIMEOUT));
			fake_in(&f, RBR);
		}
		ck_assert_uint_eq(fake_in(&f, IIR), FIFOS | NO_IRQ);
	}
	fake_out(&f, FCR, 0x00);
	fake_type("x");
	ck_assert_uint_eq(fake_in(&f, IIR), RECEIVED); /* without FIFOs there is none */
}
END_TEST

START_TEST(fcr_empties_the_fifo)
{
	fake_out(&f, IER, 0x01);
	fake_out(&f, FCR, 0x01);
	fake_type("abc");
	fake_out(&f, FCR, 0x02); /* not together with bit 0 of 0: turning off empties, too */
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	fake_out(&f, FCR, 0x01);
	fake_type("def");
	fake_out(&f, FCR, 0x01);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
	fake_out(&f, FCR, 0x03);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert(!irq());
	fake_type("0123456789abcdefghij");
	fake_out(&f, FCR, 0x03); /* what was still on its way fills it again */
	ck_assert(irq());
	ck_assert_uint_eq(fake_in(&f, RBR), 'g');
}
END_TEST

/* Linux reads RBR and empties the FIFO when it opens a port; a user may have typed before that. */
START_TEST(what_is_typed_waits_for_somebody_who_listens)
{
	fake_type("early");
	for (int line = 0; line < 20; line++) { /* printk */
		fake_out(&f, IER, 0x00);
		for (int i = 0; i < 20; i++) {
			ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
			fake_out(&f, THR, '.');
			fake_output();
		}
		fake_in(&f, LSR);
	}
	fake_out(&f, MCR, 0x03);
	fake_out(&f, IER, 0x0f); /* autoconfig() */
	fake_out(&f, IER, 0x00);
	fake_out(&f, MCR, OUT2);
	for (int open = 0; open < 20; open++) { /* serial8250_do_startup() */
		fake_out(&f, FCR, 0x07);
		fake_out(&f, FCR, 0x00);
		fake_in(&f, LSR);
		fake_in(&f, RBR);
		fake_in(&f, IIR);
		fake_in(&f, MSR);
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
		for (int i = 0; i < 2; i++) {
			fake_out(&f, IER, 0x02);
			fake_in(&f, IIR);
			fake_out(&f, IER, 0x00);
		}
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
		fake_in(&f, RBR);
	}
	ck_assert_uint_eq(fake_typed_left(), 5);
	fake_out(&f, IER, 0x05);
	ck_assert(irq());
	fake_out(&f, FCR, 0x01); /* set_termios(), with the interrupt on */
	fake_out(&f, FCR, 0x81);
	ck_assert(irq());
	for (const char *s = "early"; *s; s++)
		ck_assert_uint_eq(fake_in(&f, RBR), *s);
}
END_TEST

START_TEST(bytes_of_zero_are_bytes)
{
	fake_out(&f, FCR, 0x01);
	fake_out(&f, MCR, OUT2 | LOOP);
	fake_out(&f, MCR, OUT2);
	fake_type_bytes("a\0\xff", 3);
	fake_out(&f, IER, 0x01);
	ck_assert_uint_eq(fake_in(&f, RBR), 'a');
	ck_assert_uint_eq(fake_in(&f, RBR), 0);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
	ck_assert_uint_eq(fake_in(&f, RBR), 0xff);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
}
END_TEST

/* Polling is counted anew when somebody sets up interrupts or FIFOs: a system after its loader. */
START_TEST(setting_up_ends_polling)
{
	static const u16 ports[] = {IER, FCR};

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		fake_clock_reset();
		for (int n = 0; n < 10; n++)
			fake_in(&f, LSR);
		fake_out(&f, ports[i], 0x00);
		fake_type("x");
		for (int n = 0; n < 8; n++)
			ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
		fake_in(&f, RBR);
	}
}
END_TEST

START_TEST(who_polls_gets_bytes_one_by_one)
{
	fake_out(&f, FCR, 0x01);
	for (int i = 0; i < 20; i++) /* early on, it only writes */
		fake_out(&f, THR, '.');
	fake_output();
	fake_type("xyz");
	for (int i = 0; i < 8; i++)
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE); /* does it mean it? */
	for (const char *s = "xyz"; *s; s++) {
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
		ck_assert_uint_eq(fake_typed_left(), strlen(s) - 1); /* and no more than one */
		ck_assert_uint_eq(fake_in(&f, RBR), *s);
		fake_out(&f, THR, *s); /* an echo; one more read makes up for it */
		ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	}
	ck_assert_str_eq(fake_output(), "xyz");
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
}
END_TEST

/* ---- interrupts ------------------------------------------------------------------------- */

/* Each bit of IER, and no other, lets its interrupt through. */
START_TEST(interrupts_can_be_switched_off_one_by_one)
{
	static const struct {
		u8 ier, iir;
	} bits[] = {{0x01, RECEIVED}, {0x02, THR_EMPTY}, {0x04, LINE}, {0x08, MODEM}};

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		fake_out(&f, MCR, OUT2 | LOOP); /* all four have happened */
		fake_out(&f, THR, 'a');
		fake_out(&f, THR, 'b');
		fake_out(&f, MCR, OUT2);
		fake_out(&f, IER, bits[i].ier);
		ck_assert(irq());
		ck_assert_uint_eq(fake_in(&f, IIR), bits[i].iir);
		fake_out(&f, IER, 0x00);
		ck_assert(!irq());
		ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
	}
}
END_TEST

START_TEST(out2_connects_the_interrupt)
{
	fake_out(&f, IER, 0x02);
	ck_assert(irq());
	fake_out(&f, MCR, 0x03);
	ck_assert(!irq());
	ck_assert_uint_eq(fake_in(&f, IIR), THR_EMPTY); /* the chip says so all the same */
	fake_out(&f, THR, 'x');
	fake_out(&f, MCR, OUT2 | LOOP); /* loop back takes OUT2 off its pin */
	ck_assert(!irq());
	fake_out(&f, MCR, OUT2);
	ck_assert(irq());
}
END_TEST

START_TEST(interrupts_have_priorities)
{
	fake_out(&f, MCR, OUT2 | LOOP);
	fake_out(&f, FCR, 0x00);
	fake_out(&f, THR, 'a');
	fake_out(&f, THR, 'b'); /* overrun */
	fake_out(&f, IER, 0x0f);
	fake_out(&f, MCR, OUT2); /* the modem lines change */
	ck_assert_uint_eq(fake_in(&f, IIR), LINE);
	ck_assert_uint_eq(fake_in(&f, IIR), LINE); /* IIR does not end that one */
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY | OVERRUN);
	ck_assert_uint_eq(fake_in(&f, IIR), RECEIVED);
	fake_in(&f, RBR);
	ck_assert_uint_eq(fake_in(&f, IIR), THR_EMPTY);
	ck_assert_uint_eq(fake_in(&f, IIR), MODEM);
	ck_assert(irq());
	ck_assert_uint_eq(fake_in(&f, MSR), 0xb3); /* CTS and DSR have come up; DCD was up */
	ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
	ck_assert_uint_eq(fake_in(&f, MSR), 0xb0);
	ck_assert(!irq());
}
END_TEST

START_TEST(thr_empty_waits_behind_received_data)
{
	fake_out(&f, FCR, 0x01);
	fake_out(&f, IER, 0x03);
	fake_type("a");
	ck_assert_uint_eq(fake_in(&f, IIR), FIFOS | RECEIVED); /* does not end THR empty */
	fake_in(&f, RBR);
	ck_assert_uint_eq(fake_in(&f, IIR), FIFOS | THR_EMPTY);
}
END_TEST

/* ---- loop back -------------------------------------------------------------------------- */

START_TEST(loop_back_connects_the_modem_lines)
{
	static const struct {
		u8 mcr, msr;
	} lines[] = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40}, {0x08, 0x80}, {0x0a, 0x90}};

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		fake_out(&f, MCR, LOOP | lines[i].mcr);
		ck_assert_uint_eq(fake_in(&f, MSR) & 0xf0, lines[i].msr);
	}
}
END_TEST

START_TEST(modem_changes_are_told_once)
{
	fake_out(&f, MCR, LOOP);
	fake_in(&f, MSR);
	fake_out(&f, MCR, LOOP | 0x0f);
	ck_assert_uint_eq(fake_in(&f, MSR), 0xfb); /* all up; of RI only the end counts */
	fake_out(&f, MCR, LOOP);
	ck_assert_uint_eq(fake_in(&f, MSR), 0x0f);
	ck_assert_uint_eq(fake_in(&f, MSR), 0x00);
}
END_TEST

START_TEST(loop_back_returns_bytes)
{
	fake_out(&f, FCR, 0x01);
	fake_out(&f, MCR, LOOP);
	fake_out(&f, IER, 0x01);
	fake_type("typed"); /* waits: the line is not connected */
	for (unsigned i = 0; i < 17; i++)
		fake_out(&f, THR, i);
	ck_assert_str_eq(fake_output(), "");
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY | OVERRUN);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(fake_in(&f, RBR), i); /* the 17th was lost */
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
	fake_out(&f, MCR, OUT2);
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY); /* now it is */
	ck_assert_uint_eq(fake_in(&f, RBR), 't');
}
END_TEST

START_TEST(without_fifos_the_last_byte_wins)
{
	fake_out(&f, MCR, LOOP);
	fake_out(&f, THR, 'a');
	fake_out(&f, THR, 'b');
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE | READY | OVERRUN);
	ck_assert_uint_eq(fake_in(&f, RBR), 'b');
	ck_assert_uint_eq(fake_in(&f, LSR), IDLE);
}
END_TEST

/* drivers/tty/serial/8250/8250_port.c, autoconfig(): is it there, and is it a 16550A? */
START_TEST(linux_finds_a_16550a)
{
	u8 mcr, lcr;

	fake_out(&f, IER, 0x00);
	ck_assert_uint_eq(fake_in(&f, IER) & 0x0f, 0x00);
	fake_out(&f, IER, 0x0f);
	ck_assert_uint_eq(fake_in(&f, IER) & 0x0f, 0x0f);
	fake_out(&f, IER, 0x00);

	mcr = fake_in(&f, MCR);
	lcr = fake_in(&f, LCR);
	fake_out(&f, MCR, LOOP | 0x0a);
	ck_assert_uint_eq(fake_in(&f, MSR) & 0xf0, 0x90);
	fake_out(&f, MCR, mcr);

	fake_out(&f, LCR, 0xbf); /* an enhanced UART would show its EFR at FCR's place */
	fake_out(&f, FCR, 0x00);
	fake_out(&f, LCR, 0x00);
	fake_out(&f, FCR, 0x01);
	ck_assert_uint_eq(fake_in(&f, IIR) >> 6, 3);
	fake_out(&f, LCR, 0x80);
	ck_assert_uint_ne(fake_in(&f, FCR), 0);
	fake_out(&f, LCR, 0xbf);
	ck_assert_uint_ne(fake_in(&f, FCR), 0);
	fake_out(&f, LCR, 0x00);
	fake_out(&f, FCR, 0x21); /* a 16750 would have a 64-byte FIFO, and say so in bit 5 */
	ck_assert_uint_eq(fake_in(&f, IIR) >> 5, 6);
	fake_out(&f, IER, 0x40); /* an XScale has a bit 6 there */
	ck_assert_uint_eq(fake_in(&f, IER), 0);

	fake_out(&f, LCR, lcr);
	fake_out(&f, FCR, 0x00);
	ck_assert_uint_eq(fake_in(&f, IIR), NO_IRQ);
}
END_TEST

/* Whatever a guest does: the line is up if and only if IIR says so and OUT2 lets it. */
START_TEST(line_and_iir_agree_whatever_happens)
{
	srand(1);
	for (int i = 0; i < 50000; i++) {
		u8 mcr;

		if (rand() % 2)
			fake_out(&f, THR + rand() % 8, rand());
		else
			fake_in(&f, RBR + rand() % 8);
		fake_clock_reset();
		if (rand() % 8 == 0)
			fake_type("0123456789abcdefghij");
		mcr = fake_in(&f, MCR);
		if ((mcr & (OUT2 | LOOP)) != OUT2) {
			ck_assert(!irq());
		} else {
			bool was = irq();

			ck_assert_int_eq(was, !(fake_in(&f, IIR) & NO_IRQ));
		}
	}
}
END_TEST

static Suite *uart_suite(void)
{
	Suite *s = suite_create("uart");
	TCase *t = tcase_create("16550A");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, registers_after_a_reset);
	tcase_add_test(t, registers_keep_what_can_be_written);
	tcase_add_test(t, dlab_shows_the_divisor);
	tcase_add_test(t, wide_accesses_are_narrow_ones);
	tcase_add_test(t, bytes_go_out);
	tcase_add_test(t, thr_empty_interrupts_after_each_byte);
	tcase_add_test(t, linux_tests_that_thr_empty_comes_again);
	tcase_add_test(t, bytes_come_in);
	tcase_add_test(t, nothing_is_lost_however_much_is_typed);
	tcase_add_test(t, the_trigger_level_tells_data_from_time_out);
	tcase_add_test(t, fcr_empties_the_fifo);
	tcase_add_test(t, what_is_typed_waits_for_somebody_who_listens);
	tcase_add_test(t, setting_up_ends_polling);
	tcase_add_test(t, who_polls_gets_bytes_one_by_one);
	tcase_add_test(t, bytes_of_zero_are_bytes);
	tcase_add_test(t, interrupts_can_be_switched_off_one_by_one);
	tcase_add_test(t, out2_connects_the_interrupt);
	tcase_add_test(t, interrupts_have_priorities);
	tcase_add_test(t, thr_empty_waits_behind_received_data);
	tcase_add_test(t, loop_back_connects_the_modem_lines);
	tcase_add_test(t, modem_changes_are_told_once);
	tcase_add_test(t, loop_back_returns_bytes);
	tcase_add_test(t, without_fifos_the_last_byte_wins);
	tcase_add_test(t, linux_finds_a_16550a);
	tcase_add_test(t, line_and_iir_agree_whatever_happens);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, uart_suite);
