/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h: segment registers with their hidden part, and the descriptors they are loaded from.
 * APM vol. 2 §4.5-4.8. The hidden part is kept in the form that the VMCB uses.
 */
#ifndef X86_SEGMENT_H
#define X86_SEGMENT_H

#include "lib/types.h"

/*
 * A segment register: selector and hidden descriptor.
 *
 * attrib packs the descriptor's attribute bits without the limit between them, as in the VMCB
 * (APM vol. 2 §15.5.1):
 *
 *	 11  10   9   8   7  6 5  4  3 2 1 0
 *	| G | DB | L |AVL| P | DPL| S | type |
 */
struct segment {
	u16 selector;
	u16 attrib;
	u32 limit; /* in bytes, already scaled by G */
	u64 base;
};

#define SEG_S		    BIT(4) /* code or data, not a system segment */
#define SEG_GET_DPL(attrib) (((attrib) >> 5) & 3)
#define SEG_P		    BIT(7)
#define SEG_L		    BIT(9)  /* 64-bit code */
#define SEG_DB		    BIT(10) /* 32-bit code or stack */
#define SEG_G		    BIT(11) /* limit counts pages */

/* Types of code and data segments, accessed bit included (APM vol. 2 tables 4-3 and 4-4). */
#define SEG_TYPE_DATA_RW    0x3
#define SEG_TYPE_CODE_RX    0xb
/* Types of system segments (APM vol. 2 tables 4-5 and 4-6). */
#define SEG_TYPE_LDT	    0x2
#define SEG_TYPE_TSS16_BUSY 0x3
#define SEG_TYPE_TSS_BUSY   0xb /* 32-bit, or 64-bit in long mode */

/* A descriptor table register. */
struct table_reg {
	u16 limit;
	u64 base;
};

#endif
