/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall.h: all that the small programs here have instead of a C library, so that they need
 * nothing but the compiler that builds Casita. Linux, arch/x86/entry/syscalls/syscall_64.tbl.
 */
#ifndef GUESTS_LINUX_SYSCALL_H
#define GUESTS_LINUX_SYSCALL_H

enum {
	SYS_write = 1,
	SYS_open = 2,
	SYS_rt_sigaction = 13,
	SYS_ioctl = 16,
	SYS_execve = 59,
	SYS_exit = 60,
	SYS_setsid = 112,
	SYS_sync = 162,
	SYS_reboot = 169,
	SYS_iopl = 172,
};

static inline long syscall4(long n, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
}

static inline long syscall(long n, long a, long b, long c)
{
	return syscall4(n, a, b, c, 0);
}

/* Where the kernel starts a program: @stack holds argc, argv[0], argv[1], …, NULL, and then the
 * environment's strings and a NULL. */
__attribute__((used, noreturn)) static void start(long *stack);

__asm__(".globl _start\n"
	"_start:\n"
	"	mov	%rsp, %rdi\n"
	"	and	$-16, %rsp\n"
	"	call	start\n");

#endif
