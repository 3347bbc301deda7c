/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shadow_pages.c: the cache of shadow pages: having them, losing them, keeping them true.
 *
 * A frame of guest memory with page tables in it that we shadow is in one of two states:
 *
 *	closed	Nobody can write it without a #PF, so our shadows are what it says.
 *	open	The guest may write it. What we have is then like a TLB: it may be out of date, and
 *		the guest knows that and says INVLPG or MOV CR3 before it relies on a change. At
 *		that time we compare and put right (shadow_sync()).
 *
 * A shadowed frame starts closed, and the first write opens it. It stays open, for who has written
 * to a table once will do so again; but only so many frames may be open at a time, because each
 * costs a look at each MOV CR3, so the one that was opened longest ago is closed again. Why not
 * simply forget the shadow at the first write? Because the table may be one that the very
 * instruction that writes is translated by: it would be forgotten and needed again, for ever.
 *
 * The pool never grows. Who needs a page when none is free takes the one that was not needed for
 * the longest time; it will be built again if somebody misses it. So a guest that makes address
 * spaces without end pays with its own time.
 *
 *	1. the pool, and the list by age
 *	2. the shadow pages of a frame
 *	3. open and closed
 *	4. the interface
 */
#include "paging/shadow.h"

/* ---- 1. the pool, and the list by age ---------------------------------------------------------- */

#define POOL_MIN      256u
#define POOL_MAX      32768u
#define RAM_PER_TABLE 64 /* pages of guest memory for each shadow page */

static void age_del(struct shadow *s, page_no n)
{
	struct shadow_page *p = &s->pages[n];

	s->pages[p->older].newer = p->newer;
	s->pages[p->newer].older = p->older;
}

/* Behind the newest; page 0 is both ends. */
static void age_add(struct shadow *s, page_no n)
{
	struct shadow_page *p = &s->pages[n];

	p->newer = NO_PAGE;
	p->older = s->pages[NO_PAGE].older;
	s->pages[p->older].newer = n;
	s->pages[NO_PAGE].older = n;
}

static page_no take(struct shadow *s)
{
	page_no n = s->free;

	if (!n) {
		n = s->pages[NO_PAGE].newer;
		shadow_drop(s, n == s->root ? s->pages[n].newer : n);
		n = s->free;
	}
	s->free = s->pages[n].next;
	return n;
}

/* ---- 2. the shadow pages of a frame ------------------------------------------------------------ */

static page_no *list_of(const struct shadow *s, u64 frame, unsigned role)
{
	return role & ROLE_DIRECT ? &s->areas[frame >> 9].direct : &s->frames[frame].tables;
}

page_no shadow_find(const struct shadow *s, u64 frame, unsigned role)
{
	page_no n = *list_of(s, frame, role);

	while (n && (s->pages[n].role != role || s->pages[n].frame != frame))
		n = s->pages[n].next;
	return n;
}

static void list_del(struct shadow *s, page_no n)
{
	page_no *at = list_of(s, s->pages[n].frame, s->pages[n].role);

	while (*at != n)
		at = &s->pages[*at].next;
	*at = s->pages[n].next;
}

/* Nothing links here: the guest does not use this table at present, or does no longer. */
static bool unused(const struct shadow *s, page_no n)
{
	return n != s->root && !s->heads[chain_of_page(s, n)];
}

static unsigned level_of(const struct shadow *s, page_no n)
{
	return s->pages[n].role & ROLE_LEVEL;
}

/* The level of what MOV CR3 loads, or of what its four pointers lead to. */
static unsigned top_level(const struct shadow *s)
{
	return s->mode.tables == MODE_LONG ? 4 : 2;
}

/*
 * Is a shadow page at or below another? Links go down a level each, so this ends; and nearly always
 * there is one way up only.
 */
static bool is_below(const struct shadow *s, page_no n, page_no top)
{
	unsigned level = level_of(s, top);
	entry_no e, next;

	for (; level_of(s, n) < level; n = e / PT_ENTRIES) {
		e = s->heads[chain_of_page(s, n)];
		if (!e)
			return false;
		if (s->links[e].next)
			break;
	}
	if (level_of(s, n) >= level)
		return n == top;
	for_chain(s, chain_of_page(s, n), e, next)
	{
		if (is_below(s, e / PT_ENTRIES, top))
			return true;
	}
	return false;
}

/* ---- 3. open and closed ------------------------------------------------------------------------ */

static void drop_unused(struct shadow *s, u64 frame)
{
	page_no n, next;

	for (n = s->frames[frame].tables; n; n = next) {
		next = s->pages[n].next;
		if (unused(s, n))
			shadow_drop(s, n);
	}
}

static void freshen(struct shadow *s, page_no n)
{
	struct shadow_page *p = &s->pages[n];
	bool small = level_of(s, n) == 1;

	p->late = false;
	shadow_refresh(s, n, small ? p->first : 0, small ? p->end : PT_ENTRIES);
}

static void forget_open(struct shadow *s, u64 frame)
{
	unsigned i = 0;

	while (s->open[i] != frame)
		i++;
	for (s->open_count--; i < s->open_count; i++)
		s->open[i] = s->open[i + 1];
	s->frames[frame].open = false;
}

static void close_frame(struct shadow *s, u64 frame)
{
	page_no n;

	drop_unused(s, frame);
	if (!s->frames[frame].tables)
		return; /* and with the last one it was closed */
	forget_open(s, frame);
	shadow_close(s, frame);
	for (n = s->frames[frame].tables; n; n = s->pages[n].next)
		freshen(s, n);
}

static void note_open(struct shadow *s, u64 frame)
{
	if (s->open_count == OPEN_MAX)
		close_frame(s, s->open[0]);
	s->open[s->open_count++] = frame;
	s->frames[frame].open = true;
}

bool shadow_write(struct shadow *s, u64 frame)
{
	if (!s->frames[frame].tables)
		return false;
	if (s->frames[frame].open) {
		s->frames[frame].written = true;
		return false;
	}
	drop_unused(s, frame);
	if (s->frames[frame].tables) {
		shadow_open(s, frame);
		note_open(s, frame);
	}
	return true;
}

/* What was written since the last time makes all shadows of a frame late. Return: some are. */
static bool note_late(struct shadow *s, u64 frame)
{
	if (shadow_written(s, frame)) {
		shadow_forget_written(s, frame);
		for (page_no n = s->frames[frame].tables; n; n = s->pages[n].next)
			s->pages[n].late = true;
		s->frames[frame].late = true;
	}
	return s->frames[frame].late;
}

/*
 * One frame's part of it. What is not below @top may wait until it is, and what is below @lowest until
 * the next time. What is put right may get new links, and shadow_use() then looks below those: so this
 * comes back to itself, but a level further down each time.
 */
static void sync_frame(struct shadow *s, u64 frame, page_no top, unsigned lowest)
{
	page_no n = s->frames[frame].tables;
	bool late = false;

	while (n && level_of(s, n) < lowest)
		n = s->pages[n].next;
	if (!n || !note_late(s, frame))
		return;
	for (n = s->frames[frame].tables; n; n = s->pages[n].next) {
		if (!s->pages[n].late)
			continue;
		if (level_of(s, n) >= lowest && is_below(s, n, top))
			freshen(s, n);
		else
			late = true;
	}
	s->frames[frame].late = late;
}

void shadow_sync(struct shadow *s, page_no top, unsigned lowest)
{
	for (unsigned i = 0; i < s->open_count; i++)
		sync_frame(s, s->open[i], top, lowest);
}

/* A root that is not in use may be one that the guest has emptied and given up. */
static void freshen_roots(struct shadow *s, u64 frame)
{
	for (page_no n = s->frames[frame].tables; n; n = s->pages[n].next) {
		if (level_of(s, n) == top_level(s) && note_late(s, frame) && s->pages[n].late)
			freshen(s, n);
	}
}

/* First the roots, for then nothing leads to what was below a dead one. */
void shadow_drop_dead(struct shadow *s)
{
	for (unsigned i = 0; i < s->open_count; i++)
		freshen_roots(s, s->open[i]);
	for (unsigned i = s->open_count; i-- > 0;) {
		page_no next, n = s->frames[s->open[i]].tables;

		for (; n; n = next) {
			next = s->pages[n].next;
			if (level_of(s, n) < top_level(s) && unused(s, n))
				shadow_drop(s, n);
		}
	}
}

void shadow_use(struct shadow *s, page_no n)
{
	const struct shadow_page *p = &s->pages[n];

	if (p->role & ROLE_DIRECT)
		return;
	if (s->frames[p->frame].open && note_late(s, p->frame) && p->late)
		freshen(s, n);
	if ((p->role & ROLE_LEVEL) > 1)
		shadow_sync(s, n, 1);
}

/* ---- 4. the interface -------------------------------------------------------------------------- */

void shadow_touch(struct shadow *s, page_no n)
{
	if (n < POOL_BASE)
		return;
	age_del(s, n);
	age_add(s, n);
}

page_no shadow_get(struct shadow *s, u64 frame, unsigned role)
{
	page_no n = shadow_find(s, frame, role);
	page_no *list = list_of(s, frame, role);
	bool first;

	if (n) {
		shadow_touch(s, n);
		return n;
	}
	n = take(s);
	s->vm->tables++;
	first = !*list;
	s->pages[n].frame = frame;
	s->pages[n].role = role;
	s->pages[n].late = false;
	s->pages[n].first = PT_ENTRIES;
	s->pages[n].end = 0;
	s->pages[n].next = *list;
	*list = n;
	age_add(s, n);
	if (role & ROLE_DIRECT) {
		shadow_fill_direct(s, n);
		return n;
	}
	if (first) {
		shadow_watch(s, frame);
		shadow_close(s, frame);
	}
	shadow_begin(s, n);
	return n;
}

void shadow_drop(struct shadow *s, page_no n)
{
	struct shadow_page *p = &s->pages[n];
	entry_no e, next;

	for (unsigned i = p->first; i < p->end; i++) {
		i += words_equal(&p->table[i], s->nothing, p->end - i);
		if (i < p->end)
			shadow_clear(s, entry_number(n, i));
	}
	for_chain(s, chain_of_page(s, n), e, next) shadow_clear(s, e);
	list_del(s, n);
	age_del(s, n);
	p->next = s->free;
	s->free = n;
	s->vm->tables--;
	if (p->role & ROLE_DIRECT || s->frames[p->frame].tables)
		return;
	s->areas[p->frame >> 9].tables--;
	if (s->frames[p->frame].open)
		forget_open(s, p->frame);
	else
		shadow_open(s, p->frame);
}

void shadow_drop_all(struct shadow *s)
{
	s->root = NO_PAGE;
	while (s->pages[NO_PAGE].newer)
		shadow_drop(s, s->pages[NO_PAGE].newer);
}

static u64 end_of_ram(const struct vm *vm)
{
	const struct mem_region *last = &vm->memory.regions[vm->memory.count - 1];

	return align_up(last->start.a + last->size, LARGE_SIZE);
}

/*
 * Where each array is, when all are laid out in one piece from @base. From @seen on it does not matter
 * what is in them at first: they count only for entries that are filled. Return: the size.
 */
static u64 lay_out(struct shadow *s, u64 base)
{
	u64 at = base, heads = s->frame_count + (s->frame_count >> 9) + s->pool_size;

	s->tables = hpa_ptr(HPA(at));
	at += (s->pool_size - POOL_BASE) * PAGE_SIZE;
	s->pages = hpa_ptr(HPA(at));
	at += align_up(s->pool_size * sizeof(*s->pages), 16);
	s->frames = hpa_ptr(HPA(at));
	at += align_up(s->frame_count * sizeof(*s->frames), 16);
	s->areas = hpa_ptr(HPA(at));
	at += align_up((s->frame_count >> 9) * sizeof(*s->areas), 16);
	s->heads = hpa_ptr(HPA(at));
	at += align_up(heads * sizeof(*s->heads), 16);
	s->seen = hpa_ptr(HPA(at));
	at += s->pool_size * PAGE_SIZE;
	s->links = hpa_ptr(HPA(at));
	at += (u64)s->pool_size * PT_ENTRIES * sizeof(*s->links);
	return at - base;
}

int shadow_pages_create(struct shadow *s)
{
	u64 wanted = s->vm->memory.ram_size / PAGE_SIZE / RAM_PER_TABLE;

	s->frame_count = end_of_ram(s->vm) >> PAGE_SHIFT;
	s->pool_size = POOL_BASE + max(min(wanted, POOL_MAX), POOL_MIN);
	s->vm->tables_max = s->pool_size - POOL_BASE;
	s->bytes = lay_out(s, 0);
	s->memory = hpa_ptr(pages_alloc(s->bytes, PAGE_SIZE));
	s->roots = pages_alloc_zero(2 * PAGE_SIZE, PAGE_SIZE);
	if (!s->memory || !s->roots)
		return -ENOMEM;
	if (ptr_hpa(s->roots).a + 2 * PAGE_SIZE > 4 * GIB)
		return vm_fail(s->vm, -ENOMEM, "shadow paging needs two pages below 4 GiB");
	lay_out(s, ptr_hpa(s->memory).a);
	memset(s->memory, 0, (u8 *)s->seen - (u8 *)s->memory);
	s->pages[ROOT_PAE].table = s->roots;
	s->pages[ROOT_PAE].role = role_make(3, 0, RIGHTS_ALL);
	s->nothing = s->roots + PT_ENTRIES;
	for (page_no n = s->pool_size - 1; n >= POOL_BASE; n--) {
		s->pages[n].table = s->tables + (n - POOL_BASE) * PT_ENTRIES;
		s->pages[n].next = s->free;
		s->free = n;
	}
	return 0;
}

void shadow_pages_destroy(struct shadow *s)
{
	if (s->memory)
		pages_free(ptr_hpa(s->memory), s->bytes, true);
	if (s->roots)
		pages_free(ptr_hpa(s->roots), 2 * PAGE_SIZE, true);
}
