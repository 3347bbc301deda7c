/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pic.h: the machine's two 8259A interrupt controllers.
 */
#ifndef HOST_PIC_H
#define HOST_PIC_H

/** pic_init() - move IRQ 0-15 to the vectors from VEC_PIC on; all of them masked. */
void pic_init(void);
/** pic_unmask() - let IRQ @irq through. */
void pic_unmask(unsigned irq);
/** pic_mask() - hold it back. */
void pic_mask(unsigned irq);
/** pic_eoi() - end of interrupt: IRQ @irq has been handled, the next may come. */
void pic_eoi(unsigned irq);

#endif
