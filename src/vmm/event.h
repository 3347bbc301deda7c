/* SPDX-License-Identifier: BSD-3-Clause */
/* event.h: something that happens to a guest between two of its instructions. */
#ifndef VMM_EVENT_H
#define VMM_EVENT_H

#include "lib/types.h"

struct event {
	enum { EVENT_EXCEPTION, EVENT_NMI, EVENT_SOFT_INT } kind;
	u8 vector;
	bool has_error;
	u32 error;
	u64 address; /* #PF: goes to CR2 */
};

#endif
