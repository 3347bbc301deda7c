/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pic.c: the two 8259As, seen from their ports, their lines and the processor.
 */
#include <stdlib.h>
#include "fake_vm.h"
#include "suite.h"

#define MASTER	  0x20
#define MASTER_A0 0x21
#define SLAVE	  0xa0
#define SLAVE_A0  0xa1
#define ELCR	  0x4d0

#define BASE	  0x30 /* vectors of IRQ0-7; 8-15 follow */
#define EOI	  0x20
#define READ_IRR  0x0a
#define READ_ISR  0x0b
#define POLL	  0x0c
#define AEOI	  0x02 /* bits of ICW4 */
#define SFNM	  0x10
#define NOTHING	  (-1)

static struct fake_vm f;

/* Program both, as every system does, and unmask all. */
static void init_pics(u8 icw4)
{
	fake_out(&f, MASTER, 0x11);
	fake_out(&f, MASTER_A0, BASE);
	fake_out(&f, MASTER_A0, 0x04);
	fake_out(&f, MASTER_A0, 0x01 | icw4);
	fake_out(&f, SLAVE, 0x11);
	fake_out(&f, SLAVE_A0, BASE + 8);
	fake_out(&f, SLAVE_A0, 0x02);
	fake_out(&f, SLAVE_A0, 0x01 | (icw4 & AEOI));
	fake_out(&f, MASTER_A0, 0);
	fake_out(&f, SLAVE_A0, 0);
}

static void setup(void)
{
	fake_vm_create(&f, "pic");
	init_pics(0);
}

static void teardown(void)
{
	fake_vm_destroy(&f);
}

static void raise(unsigned line)
{
	vm_irq(&f.vm, line, true);
}

static void lower(unsigned line)
{
	vm_irq(&f.vm, line, false);
}

static u8 read_reg(u16 port, u8 ocw3)
{
	fake_out(&f, port, ocw3);
	return fake_in(&f, port);
}

/* The processor takes the interrupt of that line, or NOTHING is there to take. */
static void assert_takes(int line)
{
	int vector = fake_take(&f);

	ck_assert_int_eq(vector, line == NOTHING ? -1 : BASE + line);
}

START_TEST(a_fresh_one_lets_nothing_through)
{
	fake_vm_destroy(&f);
	fake_vm_create(&f, "pic");
	for (unsigned line = 0; line < 16; line++)
		raise(line);
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0xff);
	ck_assert_uint_eq(fake_in(&f, SLAVE_A0), 0xff);
	assert_takes(NOTHING);
	fake_out(&f, MASTER_A0,
		 0xfc); /* as firmware has left it: IRQ0 is vector 8 and comes first */
	ck_assert_int_eq(fake_take(&f), 8);
	fake_out(&f, MASTER, EOI);
	fake_out(&f, MASTER_A0, 0xfb);
	fake_out(&f, SLAVE_A0, 0xfe);
	ck_assert_int_eq(fake_take(&f), 0x70);
}
END_TEST

START_TEST(each_line_has_its_vector)
{
	for (int line = 0; line < 16; line++) {
		raise(line);
		if (line == 2) {
			assert_takes(NOTHING); /* there is no such line in a PC */
			continue;
		}
		assert_takes(line);
		assert_takes(NOTHING);
		if (line >= 8)
			fake_out(&f, SLAVE, EOI);
		fake_out(&f, MASTER, EOI);
		lower(line);
	}
}
END_TEST

START_TEST(low_numbers_go_first_and_interrupt_higher_ones)
{
	raise(5);
	raise(3);
	assert_takes(3);
	assert_takes(NOTHING); /* 5 waits for 3 */
	raise(1);
	assert_takes(1);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x0a);
	ck_assert_uint_eq(read_reg(MASTER, READ_IRR), 0x20);
	fake_out(&f, MASTER, EOI); /* of 1 */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x08);
	assert_takes(NOTHING);
	fake_out(&f, MASTER, EOI);
	assert_takes(5);
}
END_TEST

START_TEST(the_slave_stands_between_1_and_3)
{
	raise(3);
	raise(15);
	raise(8);
	raise(1);
	assert_takes(1);
	fake_out(&f, MASTER, EOI);
	assert_takes(8);
	fake_out(&f, SLAVE, EOI);
	fake_out(&f, MASTER, EOI);
	assert_takes(15);
	fake_out(&f, SLAVE, EOI);
	fake_out(&f, MASTER, EOI);
	assert_takes(3);
}
END_TEST

START_TEST(masked_lines_wait)
{
	fake_out(&f, MASTER_A0, 0x10);
	raise(4);
	assert_takes(NOTHING);
	ck_assert_uint_eq(read_reg(MASTER, READ_IRR), 0x10);
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0x10);
	fake_out(&f, MASTER_A0, 0);
	assert_takes(4);
	ck_assert_uint_eq(read_reg(MASTER, READ_IRR), 0);
}
END_TEST

START_TEST(an_edge_counts_once)
{
	raise(4);
	assert_takes(4);
	fake_out(&f, MASTER, EOI);
	assert_takes(NOTHING); /* still up */
	raise(4);
	assert_takes(NOTHING);
	lower(4);
	raise(4);
	assert_takes(4);
	lower(4);
	raise(4); /* during its own service: remembered */
	assert_takes(NOTHING);
	fake_out(&f, MASTER, EOI);
	assert_takes(4);
}
END_TEST

START_TEST(a_request_taken_back_is_gone)
{
	raise(4);
	raise(12);
	ck_assert(f.vm.intr);
	lower(4);
	lower(12);
	ck_assert(!f.vm.intr);
	ck_assert_uint_eq(read_reg(MASTER, READ_IRR), 0);
	ck_assert_uint_eq(read_reg(SLAVE, READ_IRR), 0);
	assert_takes(NOTHING);
}
END_TEST

/* The processor took a vector that it was offered, and the request had gone meanwhile. */
START_TEST(an_acknowledge_that_is_too_late_serves_nobody)
{
	struct irq_chip *chip = &f.vm.irq.chip;

	raise(7);
	ck_assert_int_eq(chip->peek(chip->opaque), BASE + 7);
	lower(7);
	ck_assert_int_eq(chip->peek(chip->opaque), -1);
	chip->ack(chip->opaque);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
	raise(15);
	ck_assert_int_eq(chip->peek(chip->opaque), BASE + 15);
	lower(15);
	chip->ack(chip->opaque);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
	ck_assert_uint_eq(read_reg(SLAVE, READ_ISR), 0);
}
END_TEST

START_TEST(peek_changes_nothing)
{
	struct irq_chip *chip = &f.vm.irq.chip;

	raise(3);
	raise(9);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(chip->peek(chip->opaque), BASE + 9);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR) | read_reg(SLAVE, READ_ISR), 0);
	ck_assert_uint_eq(read_reg(MASTER, READ_IRR), 0x0c);
}
END_TEST

START_TEST(level_lines_ask_for_as_long_as_they_are_up)
{
	fake_out(&f, ELCR, 0xff);
	fake_out(&f, ELCR + 1, 0xff);
	ck_assert_uint_eq(fake_in(&f, ELCR), 0xf8); /* the others cannot be changed */
	ck_assert_uint_eq(fake_in(&f, ELCR + 1), 0xde);
	raise(5);
	raise(10);
	for (int i = 0; i < 3; i++) {
		assert_takes(10);
		assert_takes(NOTHING);
		fake_out(&f, SLAVE, EOI);
		fake_out(&f, MASTER, EOI);
	}
	lower(10);
	assert_takes(5);
	fake_out(&f, MASTER, EOI);
	assert_takes(5);
	lower(5);
	fake_out(&f, MASTER, EOI);
	assert_takes(NOTHING);

	raise(5); /* its edge was heard in level mode: no second time in edge mode */
	assert_takes(5);
	fake_out(&f, MASTER, EOI);
	fake_out(&f, ELCR, 0);
	assert_takes(NOTHING);
}
END_TEST

START_TEST(a_specific_eoi_ends_its_line)
{
	raise(6);
	assert_takes(6);
	raise(1);
	assert_takes(1);
	fake_out(&f, MASTER, 0x60 | 6);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x02);
	fake_out(&f, MASTER, 0x40 | 1); /* no operation */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x02);
	fake_out(&f, MASTER, 0x60 | 1);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
	fake_out(&f, MASTER, EOI); /* of nothing */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
}
END_TEST

START_TEST(priorities_rotate)
{
	fake_out(&f, MASTER, 0xc0 | 4); /* 4 is the least important: 5 6 7 0 1 2 3 4 */
	raise(4);
	raise(0);
	raise(6);
	assert_takes(6);
	assert_takes(NOTHING);
	fake_out(&f, MASTER, 0xa0); /* EOI of 6, which goes behind: 7 0 1 2 3 4 5 6 */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
	raise(5);
	assert_takes(0);
	lower(6);
	raise(6);
	raise(7);
	assert_takes(7);
	fake_out(&f, MASTER, 0xe0 | 0); /* EOI of 0: 1 2 3 4 5 6 7 0 */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x80);
	assert_takes(4);
	assert_takes(NOTHING);
	fake_out(&f, MASTER, EOI);
	assert_takes(5);
}
END_TEST

START_TEST(automatic_eoi_leaves_nothing_in_service)
{
	init_pics(AEOI);
	raise(3);
	raise(4);
	raise(9);
	raise(14);
	assert_takes(9);
	ck_assert_uint_eq(read_reg(SLAVE, READ_ISR), 0);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0);
	assert_takes(14); /* the slave's INT fell and rose for it */
	assert_takes(3);
	assert_takes(4);
	assert_takes(NOTHING);
}
END_TEST

START_TEST(automatic_eoi_can_rotate)
{
	init_pics(AEOI);
	fake_out(&f, MASTER, 0x80);
	for (unsigned line = 3; line < 6; line++)
		raise(line);
	assert_takes(3);
	lower(3);
	raise(3);
	assert_takes(4);
	assert_takes(5);
	assert_takes(3);
	fake_out(&f, MASTER, 0x00); /* no more: 3 stays the least important */
	raise(7);
	assert_takes(7);
	lower(7);
	raise(7);
	lower(4);
	raise(4);
	assert_takes(4);
	assert_takes(7);
}
END_TEST

START_TEST(special_mask_mode_lets_lower_lines_in)
{
	raise(3);
	assert_takes(3);
	raise(6);
	assert_takes(NOTHING);
	fake_out(&f, MASTER_A0, 0x08); /* masking 3 does not help by itself */
	assert_takes(NOTHING);
	fake_out(&f, MASTER, 0x68); /* special mask mode */
	assert_takes(6);
	fake_out(&f, MASTER, EOI); /* never of a masked line */
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x08);
	fake_out(&f, MASTER, EOI);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x08);
	lower(6);
	raise(6);
	fake_out(&f, MASTER, 0x28); /* S without E changes nothing */
	assert_takes(6);
	fake_out(&f, MASTER, EOI);
	fake_out(&f, MASTER, 0x48); /* out of it */
	lower(6);
	raise(6);
	assert_takes(NOTHING);
	fake_out(&f, MASTER, EOI);
	assert_takes(6);
}
END_TEST

START_TEST(a_poll_is_an_acknowledge)
{
	ck_assert_uint_eq(read_reg(MASTER, POLL), 0);
	raise(5);
	raise(11);
	ck_assert_uint_eq(read_reg(MASTER, POLL), 0x80 | 2);
	ck_assert(!f.vm.intr);
	fake_out(&f, SLAVE, POLL);
	fake_out(&f, SLAVE_A0, 0x40);
	ck_assert_uint_eq(fake_in(&f, SLAVE_A0), 0x80 | 3); /* any read of the chip */
	ck_assert_uint_eq(fake_in(&f, SLAVE_A0), 0x40);	    /* and only one */
	ck_assert_uint_eq(read_reg(SLAVE, READ_ISR), 0x08);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x04);
	fake_out(&f, SLAVE, EOI);
	fake_out(&f, MASTER, EOI);
	assert_takes(5);
}
END_TEST

START_TEST(polling_the_slave_takes_its_request_from_the_master)
{
	raise(11);
	ck_assert(f.vm.intr);
	ck_assert_uint_eq(read_reg(SLAVE, POLL), 0x80 | 3);
	ck_assert(!f.vm.intr);
	assert_takes(NOTHING);
}
END_TEST

START_TEST(polling_the_master_leaves_the_slave_asking)
{
	raise(11);
	ck_assert_uint_eq(read_reg(MASTER, POLL), 0x80 | 2);
	fake_out(&f, MASTER, EOI);
	assert_takes(NOTHING); /* its INT has not fallen since: no edge */
	ck_assert_uint_eq(read_reg(SLAVE, POLL), 0x80 | 3);
}
END_TEST

START_TEST(the_register_to_read_stays_chosen)
{
	raise(3);
	assert_takes(3);
	raise(6);
	fake_out(&f, MASTER, READ_ISR);
	fake_out(&f, MASTER, 0x48); /* an OCW3 about something else */
	ck_assert_uint_eq(fake_in(&f, MASTER), 0x08);
	ck_assert_uint_eq(fake_in(&f, MASTER), 0x08);
	fake_out(&f, MASTER, POLL | READ_IRR); /* a poll chooses none */
	ck_assert_uint_eq(fake_in(&f, MASTER), 0);
	ck_assert_uint_eq(fake_in(&f, MASTER), 0x08);
}
END_TEST

START_TEST(the_slave_waits_for_both_ends_of_interrupt)
{
	raise(12);
	assert_takes(12);
	raise(9);
	assert_takes(NOTHING); /* the master is serving line 2 */
	fake_out(&f, SLAVE, EOI);
	assert_takes(NOTHING);
	fake_out(&f, MASTER, EOI);
	assert_takes(9);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x04);
	ck_assert_uint_eq(read_reg(SLAVE, READ_ISR), 0x02);
	fake_out(&f, MASTER, EOI); /* only the master's: the slave still serves 9 */
	lower(12);
	raise(12);
	assert_takes(NOTHING);
	raise(8);
	assert_takes(8);
}
END_TEST

START_TEST(special_fully_nested_mode_lets_the_slave_interrupt_itself)
{
	init_pics(SFNM);
	raise(12);
	assert_takes(12);
	raise(9);
	raise(3);
	assert_takes(9);
	raise(14);
	assert_takes(NOTHING); /* less important than 9 to the slave; 3 than 2 to the master */
	fake_out(&f, SLAVE, EOI);
	fake_out(&f, SLAVE, EOI);
	assert_takes(14);
}
END_TEST

START_TEST(initialization_takes_as_many_words_as_icw1_says)
{
	fake_out(&f, MASTER, 0x12); /* single, no ICW4 */
	fake_out(&f, MASTER_A0, 0x4f);
	fake_out(&f, MASTER_A0, 0xfe); /* already the mask */
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0xfe);
	raise(0);
	ck_assert_int_eq(fake_take(&f), 0x48);

	fake_out(&f, MASTER, 0x10); /* cascaded, no ICW4: ICW2, ICW3 */
	fake_out(&f, MASTER_A0, 0x50);
	fake_out(&f, MASTER_A0, 0x04);
	fake_out(&f, MASTER_A0, 0xfd);
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0xfd);

	fake_out(&f, MASTER, 0x13); /* single with ICW4 */
	fake_out(&f, MASTER_A0, 0x58);
	fake_out(&f, MASTER_A0, 0x03);
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0);
	lower(0);
	raise(0);
	ck_assert_int_eq(fake_take(&f), 0x58);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0); /* it said automatic EOI */
}
END_TEST

START_TEST(icw1_forgets)
{
	raise(3);
	assert_takes(3);
	raise(1);
	fake_out(&f, MASTER, 0xc0 | 5);
	fake_out(&f, MASTER, 0x68);
	fake_out(&f, MASTER, READ_ISR);
	init_pics(0);
	assert_takes(NOTHING);			   /* 1 is up, but did not rise since */
	ck_assert_uint_eq(fake_in(&f, MASTER), 0); /* IRR, as after a reset */
	lower(1);
	raise(1);
	raise(6);
	assert_takes(1); /* neither rotated nor in special mask mode */
	fake_out(&f, MASTER_A0, 0x02);
	assert_takes(NOTHING);
	ck_assert_uint_eq(read_reg(MASTER, READ_ISR), 0x02);
}
END_TEST

START_TEST(lines_that_were_up_before_the_chip_was_there_are_heard)
{
	struct irq_chip chip = f.vm.irq.chip;

	f.vm.irq.chip = (struct irq_chip){0};
	raise(4);
	assert_takes(NOTHING);
	vm_set_irq_chip(&f.vm, &chip);
	assert_takes(4);
}
END_TEST

START_TEST(wide_accesses_are_two_narrow_ones)
{
	fake_out(&f, MASTER_A0, 0x5a);
	raise(0);
	ck_assert_uint_eq(vm_in(&f.vm, MASTER, 2), 0x5a01);
	ck_assert_uint_eq(vm_in(&f.vm, SLAVE_A0, 4), 0xffffff00);
	vm_out(&f.vm, MASTER, 2, 0x7700 | READ_ISR);
	ck_assert_uint_eq(fake_in(&f, MASTER_A0), 0x77);
	ck_assert_uint_eq(fake_in(&f, MASTER), 0);
	vm_out(&f.vm, ELCR, 4, 0x1210);
	ck_assert_uint_eq(vm_in(&f.vm, ELCR, 4), 0xffff1210);
	ck_assert_uint_eq(fake_in(&f, MASTER + 2) & fake_in(&f, SLAVE + 2), 0xff);
}
END_TEST

/* Whatever a guest does: INTR is up if and only if there is a vector, and peek tells the truth. */
START_TEST(intr_and_vector_agree_whatever_happens)
{
	static const u16 ports[] = {MASTER, MASTER_A0, SLAVE, SLAVE_A0, ELCR, ELCR + 1};
	struct irq_chip *chip = &f.vm.irq.chip;

	srand(1);
	for (int i = 0; i < 50000; i++) {
		u16 port = ports[rand() % ARRAY_SIZE(ports)];
		int vector;

		if (rand() % 4 == 0)
			fake_out(&f, port, rand());
		else if (rand() % 3 == 0)
			fake_in(&f, port);
		vm_irq(&f.vm, rand() % 16, rand() % 2);
		vector = chip->peek(chip->opaque);
		ck_assert_int_eq(f.vm.intr, vector >= 0);
		ck_assert_int_eq(vector, chip->peek(chip->opaque));
		if (rand() % 2)
			fake_take(&f);
	}
}
END_TEST

static Suite *pic_suite(void)
{
	Suite *s = suite_create("pic");
	TCase *t = tcase_create("8259A");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_fresh_one_lets_nothing_through);
	tcase_add_test(t, each_line_has_its_vector);
	tcase_add_test(t, low_numbers_go_first_and_interrupt_higher_ones);
	tcase_add_test(t, the_slave_stands_between_1_and_3);
	tcase_add_test(t, masked_lines_wait);
	tcase_add_test(t, an_edge_counts_once);
	tcase_add_test(t, a_request_taken_back_is_gone);
	tcase_add_test(t, an_acknowledge_that_is_too_late_serves_nobody);
	tcase_add_test(t, peek_changes_nothing);
	tcase_add_test(t, level_lines_ask_for_as_long_as_they_are_up);
	tcase_add_test(t, a_specific_eoi_ends_its_line);
	tcase_add_test(t, priorities_rotate);
	tcase_add_test(t, automatic_eoi_leaves_nothing_in_service);
	tcase_add_test(t, automatic_eoi_can_rotate);
	tcase_add_test(t, special_mask_mode_lets_lower_lines_in);
	tcase_add_test(t, a_poll_is_an_acknowledge);
	tcase_add_test(t, polling_the_slave_takes_its_request_from_the_master);
	tcase_add_test(t, polling_the_master_leaves_the_slave_asking);
	tcase_add_test(t, the_register_to_read_stays_chosen);
	tcase_add_test(t, the_slave_waits_for_both_ends_of_interrupt);
	tcase_add_test(t, special_fully_nested_mode_lets_the_slave_interrupt_itself);
	tcase_add_test(t, initialization_takes_as_many_words_as_icw1_says);
	tcase_add_test(t, icw1_forgets);
	tcase_add_test(t, lines_that_were_up_before_the_chip_was_there_are_heard);
	tcase_add_test(t, wide_accesses_are_two_narrow_ones);
	tcase_add_test(t, intr_and_vector_agree_whatever_happens);
	suite_add_tcase(s, t);
	return s;
}
SET_ADD(suites, suite_fn, pic_suite);
