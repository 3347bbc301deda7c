/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer.c: deadlines in a list, the earliest first; see timer.h.
 *
 * Whenever the head of the list changes, the machine's timer is armed for it. Its interrupt ends a
 * guest's run or the sleep of an idle CPU, and whoever was interrupted calls timers_run(). So an
 * exit costs nothing here unless it was a timer's.
 */
#include "host/host.h"
#include "vmm/timer.h"

static struct timer *first;

static void unlink_timer(struct timer *t)
{
	struct timer **link = &first;

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	t->armed = false;
}

void timer_arm(struct timer *t, u64 when)
{
	struct timer **link = &first;

	if (t->armed)
		unlink_timer(t);
	while (*link && (*link)->when <= when)
		link = &(*link)->next;
	t->when = when;
	t->armed = true;
	t->next = *link;
	*link = t;
	host_timer_set(timers_next());
}

void timer_cancel(struct timer *t)
{
	if (!t->armed)
		return;
	unlink_timer(t);
	host_timer_set(timers_next());
}

u64 timers_next(void)
{
	return first ? first->when : HOST_TIMER_NEVER;
}

void timers_run(u64 now)
{
	while (first && first->when <= now) {
		struct timer *t = first;

		first = t->next;
		t->armed = false;
		t->fn(t->opaque);
	}
	host_timer_set(timers_next());
}
