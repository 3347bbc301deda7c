/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pic.c: the two 8259A interrupt controllers of a PC.
 *
 * What it is for. Sixteen devices want the processor's attention and the processor has one wire,
 * INTR. An 8259A collects eight request lines (IR0-IR7), lets the most important one through and,
 * when the processor acknowledges (the INTA cycle), tells it the interrupt's vector.
 *
 *	IRQ8-15 --> slave (ports a0, a1) --INT--> IR2
 *	IRQ0,1,3-7 ------------------------------> master (ports 20, 21) --INT--> processor's INTR
 *
 * How the chip works. Three registers of eight bits, a bit a line:
 *
 *	IRR  requests: the line asks and has not been acknowledged
 *	IMR  mask: software does not want to hear of it
 *	ISR  in service: acknowledged, and software has not said EOI (end of interrupt) yet
 *
 * A request goes through if it is not masked and more important than everything in service. The
 * acknowledge moves its bit from IRR to ISR. Line 0 is the most important one, unless software has
 * rotated the order: then the line behind the least important one is.
 *
 * How we emulate it. IRR is not stored: a line requests while it is up and, in edge mode, its
 * rising edge has not been acknowledged yet (@edges). So a request that is taken back is gone, as
 * the datasheet has it. On the wires it can go between INTR and INTA; then the chip has to answer
 * something and answers IR7's vector without an ISR bit, the famous spurious interrupt. Here the
 * vector is chosen when the processor takes it, so nobody ever sees one; an acknowledge that finds
 * no request puts nothing in service.
 *
 * Programming (data sheet, figures 7 and 8). A0 is the lowest bit of the port:
 *
 *	A0=0 xxx1 LxSI  ICW1  starts initialization: S single, I ICW4 follows (L: see below)
 *	A0=1 VVVV Vxxx  ICW2  the vectors' upper five bits
 *	A0=1 ........   ICW3  where the slave is; wired fast in a PC, so ignored; not sent if single
 *	A0=1 xxxF xxAx  ICW4  F special fully nested mode, A automatic EOI
 *	A0=1 MMMM MMMM  OCW1  the mask
 *	A0=0 RSE0 0LLL  OCW2  EOI and rotation: see chip_ocw2()
 *	A0=0 0ES0 1PRI  OCW3  E: set special mask mode to S; P poll; R: read ISR if I, else IRR
 *
 * Level mode. A line in level mode requests for as long as it is up. The 8259A's L bit of ICW1 made
 * all lines so; PCs since the EISA bus ignore it and have a bit for each line in the ELCR (ports
 * 4d0, 4d1). IRQ0, 1, 2, 8 and 13 cannot be changed.
 *
 * Intel 8259A data sheet (231468-003); Intel 82371SB (PIIX3) data sheet §2.5.11 for the ELCR.
 */
#include "vmm/device.h"
#include "vmm/vm.h"

enum { MASTER_PORT = 0x20, SLAVE_PORT = 0xa0, ELCR_PORT = 0x4d0 };
#define PORT_A0	      1 /* of the port's number: the chip's address line */

#define CHIP_LINES    8
#define CASCADE	      2 /* the master's input with the slave behind it */
#define NONE	      (-1)

#define MASTER_ELCR   0xf8 /* the bits that can be changed */
#define SLAVE_ELCR    0xde
#define MASTER_VECTOR 0x08 /* what a PC's firmware leaves behind */
#define SLAVE_VECTOR  0x70
#define ALL_MASKED    0xff

/* The bits are named as in the data sheet; see above. */
enum { ICW1_IC4 = BIT(0), ICW1_SNGL = BIT(1), ICW1_INIT = BIT(4) };
enum { ICW2_VECTOR = 0xf8, ICW4_AEOI = BIT(1), ICW4_SFNM = BIT(4) };
enum { OCW2_LEVEL = 7, OCW2_EOI = BIT(5), OCW2_SPECIFIC = BIT(6), OCW2_ROTATE = BIT(7) };
enum { OCW3_RIS = BIT(0), OCW3_RR = BIT(1), OCW3_POLL = BIT(2), OCW3_IS_OCW3 = BIT(3) };
enum { OCW3_SMM = BIT(5), OCW3_ESMM = BIT(6) };
#define POLL_INTERRUPT BIT(7) /* of the byte read after a poll command */

/* What a write with A0=1 means. */
enum expect { EXPECT_OCW1, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4 };

struct chip {
	u8 lines; /* levels of the inputs */
	u8 edges; /* inputs that rose and were not acknowledged since */
	u8 elcr;  /* inputs in level mode */
	u8 imr, isr;
	u8 vector; /* of IR0 */
	u8 lowest; /* the least important line: 7, unless rotated */
	enum expect expect;
	bool single, icw4_follows;	 /* of ICW1 */
	bool auto_eoi, auto_rotate;	 /* end, and rotate, at the acknowledge */
	bool fully_nested, special_mask; /* the special modes */
	bool read_isr;			 /* reads with A0=0 give ISR, else IRR */
	bool poll;			 /* the next read is an acknowledge */
};

struct pic {
	struct vm *vm;
	struct chip master, slave;
};

/* ---- one chip: who is next ------------------------------------------------------------------- */

static u8 chip_irr(const struct chip *c)
{
	return c->lines & (c->edges | c->elcr);
}

/* The lines of @set in order of importance: bit 0 is the most important one's. */
static u8 chip_queue(const struct chip *c, u8 set)
{
	return (set << 8 | set) >> (c->lowest + 1) % CHIP_LINES;
}

/* The most important of the lines in @set, or NONE. */
static int chip_first(const struct chip *c, u8 set)
{
	if (!set)
		return NONE;
	return (__builtin_ctz(chip_queue(c, set)) + c->lowest + 1) % CHIP_LINES;
}

/* What is being served. In special mask mode, a masked line in service holds up nobody. */
static u8 chip_serving(const struct chip *c)
{
	return c->special_mask ? c->isr & ~c->imr : c->isr;
}

/* The line that the chip asks the processor to serve now, or NONE. */
static int chip_next(const struct chip *c)
{
	int line = chip_first(c, chip_irr(c) & ~c->imr);
	int serving = chip_first(c, chip_serving(c));

	if (line == NONE || serving == NONE)
		return line;
	if (chip_queue(c, BIT(line)) < chip_queue(c, BIT(serving)))
		return line;
	/* Another line of the slave, more important to it than the one it is serving. */
	return c->fully_nested && line == CASCADE && serving == CASCADE ? line : NONE;
}

/* ---- one chip: acknowledge and end of interrupt ---------------------------------------------- */

static void chip_end(struct chip *c, int line, bool rotate)
{
	if (line == NONE)
		return;
	c->isr &= ~BIT(line);
	if (rotate)
		c->lowest = line;
}

/* Acknowledge the line that is next; return it, or NONE. */
static int chip_ack(struct chip *c)
{
	int line = chip_next(c);

	if (line != NONE) {
		c->edges &= ~BIT(line);
		c->isr |= BIT(line);
		if (c->auto_eoi)
			chip_end(c, line, c->auto_rotate);
	}
	return line;
}

static void chip_set_line(struct chip *c, unsigned line, bool level)
{
	u8 bit = BIT(line);

	if (level && !(c->lines & bit))
		c->edges |= bit;
	c->lines = level ? c->lines | bit : c->lines & ~bit;
}

/* ---- both chips: the wires between them ------------------------------------------------------ */

/* Something has changed: bring the slave's INT and the processor's INTR up to date. */
static void pic_update(struct pic *pic)
{
	chip_set_line(&pic->master, CASCADE, chip_next(&pic->slave) != NONE);
	vm_set_intr(pic->vm, chip_next(&pic->master) != NONE);
}

/* An acknowledge takes INT down: what is next at the slave shall be an edge to the master again. */
static int pic_ack_slave(struct pic *pic)
{
	chip_set_line(&pic->master, CASCADE, false);
	return chip_ack(&pic->slave);
}

static void pic_set_line(void *opaque, unsigned line, bool level)
{
	struct pic *pic = opaque;

	if (line == CASCADE) /* the slave sits there: a PC has no IRQ2 */
		return;
	if (line < CHIP_LINES)
		chip_set_line(&pic->master, line, level);
	else
		chip_set_line(&pic->slave, line - CHIP_LINES, level);
	pic_update(pic);
}

static int pic_peek(void *opaque)
{
	struct pic *pic = opaque;
	struct chip *c = &pic->master;
	int line = chip_next(c);

	if (line == CASCADE) {
		c = &pic->slave;
		line = chip_next(c);
	}
	return line == NONE ? NONE : c->vector + line;
}

static void pic_ack(void *opaque)
{
	struct pic *pic = opaque;

	if (chip_ack(&pic->master) == CASCADE)
		pic_ack_slave(pic);
	pic_update(pic);
}

/* ---- programming ----------------------------------------------------------------------------- */

static struct chip *pic_chip(struct pic *pic, u16 port)
{
	if (port == ELCR_PORT || (port & ~PORT_A0) == MASTER_PORT)
		return &pic->master;
	return &pic->slave;
}

/* ICW1 resets nearly all; lines that are up must fall and rise again to be heard. */
static void chip_icw1(struct chip *c, u8 value)
{
	*c = (struct chip){
		.lines = c->lines,
		.elcr = c->elcr,
		.vector = c->vector,
		.lowest = CHIP_LINES - 1,
		.expect = EXPECT_ICW2,
		.single = value & ICW1_SNGL,
		.icw4_follows = value & ICW1_IC4,
	};
}

/*
 *	R S E
 *	0 0 1	EOI of the most important line in service
 *	0 1 1	EOI of line L
 *	1 0 1	the first, and that line becomes the least important
 *	1 1 1	the second, likewise
 *	1 0 0	rotate at automatic EOIs;  0 0 0  no longer
 *	1 1 0	L becomes the least important
 *	0 1 0	nothing
 */
static void chip_ocw2(struct chip *c, u8 value)
{
	bool rotate = value & OCW2_ROTATE, specific = value & OCW2_SPECIFIC;
	int level = value & OCW2_LEVEL;

	if (value & OCW2_EOI)
		chip_end(c, specific ? level : chip_first(c, chip_serving(c)), rotate);
	else if (!specific)
		c->auto_rotate = rotate;
	else if (rotate)
		c->lowest = level;
}

static void chip_ocw3(struct chip *c, u8 value)
{
	if (value & OCW3_ESMM)
		c->special_mask = value & OCW3_SMM;
	c->poll = value & OCW3_POLL;
	if (!c->poll && (value & OCW3_RR))
		c->read_isr = value & OCW3_RIS;
}

static void chip_write_a0(struct chip *c, u8 value)
{
	if (c->expect == EXPECT_OCW1) {
		c->imr = value;
	} else if (c->expect == EXPECT_ICW2) {
		c->vector = value & ICW2_VECTOR;
		c->expect = c->single ? EXPECT_ICW4 : EXPECT_ICW3;
	} else if (c->expect == EXPECT_ICW3) {
		c->expect = EXPECT_ICW4;
	} else {
		c->auto_eoi = value & ICW4_AEOI;
		c->fully_nested = value & ICW4_SFNM;
		c->expect = EXPECT_OCW1;
	}
	if (c->expect == EXPECT_ICW4 && !c->icw4_follows)
		c->expect = EXPECT_OCW1;
}

static void pic_out(void *opaque, u16 port, int size, u32 value)
{
	struct pic *pic = opaque;
	struct chip *c = pic_chip(pic, port);

	if (port >= ELCR_PORT)
		c->elcr = value & (c == &pic->master ? MASTER_ELCR : SLAVE_ELCR);
	else if (port & PORT_A0)
		chip_write_a0(c, value);
	else if (value & ICW1_INIT)
		chip_icw1(c, value);
	else if (value & OCW3_IS_OCW3)
		chip_ocw3(c, value);
	else
		chip_ocw2(c, value);
	pic_update(pic);
}

/* The read after a poll command takes the place of the INTA cycle. */
static u32 pic_poll(struct pic *pic, struct chip *c)
{
	int line = c == &pic->slave ? pic_ack_slave(pic) : chip_ack(c);

	c->poll = false;
	pic_update(pic);
	return line == NONE ? 0 : POLL_INTERRUPT | line;
}

static u32 pic_in(void *opaque, u16 port, int size)
{
	struct pic *pic = opaque;
	struct chip *c = pic_chip(pic, port);

	if (port >= ELCR_PORT)
		return c->elcr;
	if (c->poll)
		return pic_poll(pic, c);
	if (port & PORT_A0)
		return c->imr;
	return c->read_isr ? c->isr : chip_irr(c);
}

static int pic_create(struct vm *vm)
{
	struct pic *pic = device_alloc(vm, sizeof(*pic));
	struct irq_chip chip = {pic_set_line, pic_peek, pic_ack, pic};
	struct io_hook master = {MASTER_PORT, MASTER_PORT + 1, 1, pic_in, pic_out, pic};
	struct io_hook slave = {SLAVE_PORT, SLAVE_PORT + 1, 1, pic_in, pic_out, pic};
	struct io_hook elcr = {ELCR_PORT, ELCR_PORT + 1, 1, pic_in, pic_out, pic};

	if (!pic)
		return -ENOMEM;
	*pic = (struct pic){
		.vm = vm,
		.master = {.vector = MASTER_VECTOR, .lowest = CHIP_LINES - 1, .imr = ALL_MASKED},
		.slave = {.vector = SLAVE_VECTOR, .lowest = CHIP_LINES - 1, .imr = ALL_MASKED},
	};
	vm_set_irq_chip(vm, &chip);
	return vm_hook_io(vm, &master) ?: vm_hook_io(vm, &slave) ?: vm_hook_io(vm, &elcr);
}

static const struct device_class pic_class = {.name = "pic", .create = pic_create};
DEVICE(pic_class);
