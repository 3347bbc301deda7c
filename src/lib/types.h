/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h: the words that everything else is written in.
 *
 * A VMM juggles three kinds of address, and mixing them up is its classic bug:
 *
 *	gva_t	guest virtual:	what the guest's program uses (after segmentation: linear)
 *	gpa_t	guest physical:	what the guest's page tables produce
 *	hpa_t	host physical:	where the byte really is in the machine's memory
 *
 * They are one-word structs, passed in a register like any integer, so that handing the wrong one
 * to a function does not compile. Make one with GPA(x), look into it with .a, move it with
 * gpa_add(). The only place that turns a gpa_t into an hpa_t is the VM's memory map.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/errno.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int64_t s64;

typedef struct gva {
	u64 a;
} gva_t;

typedef struct gpa {
	u64 a;
} gpa_t;

typedef struct hpa {
	u64 a;
} hpa_t;

#define GVA(x) ((gva_t){(x)})
#define GPA(x) ((gpa_t){(x)})
#define HPA(x) ((hpa_t){(x)})

static inline gva_t gva_add(gva_t v, u64 n)
{
	return GVA(v.a + n);
}

static inline gpa_t gpa_add(gpa_t p, u64 n)
{
	return GPA(p.a + n);
}

static inline hpa_t hpa_add(hpa_t p, u64 n)
{
	return HPA(p.a + n);
}

#define KIB				(1ull << 10)
#define MIB				(1ull << 20)
#define GIB				(1ull << 30)

#define PAGE_SHIFT			12
#define PAGE_SIZE			(1ull << PAGE_SHIFT)
#define LARGE_SIZE			(2 * MIB) /* what one page directory entry maps in long mode and PAE */

#define BIT(n)				(1ull << (n))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Alignment is always a power of two. */
#define align_down(x, n)		((x) & ~((u64)(n)-1))
#define align_up(x, n)			align_down((x) + (u64)(n)-1, n)
#define is_aligned(x, n)		(((x) & ((u64)(n)-1)) == 0)

#define min(a, b)			((a) < (b) ? (a) : (b))
#define max(a, b)			((a) > (b) ? (a) : (b))

#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)

/* Off the beaten path: kept out of line, so that the path itself stays short. */
#define __slow				__attribute__((noinline, cold))
#define __packed			__attribute__((packed))
#define __aligned(n)			__attribute__((aligned(n)))
#define __printf(f, a)			__attribute__((format(printf, f, a)))

#endif
