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
	SYS_mmap = 9,
	SYS_mprotect = 10,
	SYS_munmap = 11,
	SYS_rt_sigaction = 13,
	SYS_ioctl = 16,
	SYS_mremap = 25,
	SYS_fork = 57,
	SYS_execve = 59,
	SYS_exit = 60,
	SYS_wait4 = 61,
	SYS_setsid = 112,
	SYS_sync = 162,
	SYS_reboot = 169,
	SYS_iopl = 172,
};

static inline long syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

static inline long syscall4(long n, long a, long b, long c, long d)
{
	return syscall6(n, a, b, c, d, 0, 0);
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
