/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * linux.h: the formats of the Linux boot protocol.
 * Linux, Documentation/arch/x86/boot.rst and zero-page.rst; the offsets are those of the tables
 * there, which count from the beginning of the file and of boot_params alike.
 */
#ifndef LOADERS_LINUX_H
#define LOADERS_LINUX_H

#include "lib/types.h"

#define LINUX_SECTOR	   512
#define LINUX_FLAG_AT	   0x1fe
#define LINUX_BOOT_FLAG	   0xaa55
#define LINUX_MAGIC_AT	   0x202
#define LINUX_MAGIC	   0x53726448 /* "HdrS" */

#define LINUX_HEADER_AT	   0x1f1
#define LINUX_HEADER_MAX   0x290 /* where the room for it in boot_params ends */

/* Protocol versions, and what came with them. */
#define LINUX_2_06	   0x206 /* cmdline_size */
#define LINUX_2_10	   0x20a /* pref_address, init_size */
#define LINUX_2_12	   0x20c /* xloadflags */

/* loadflags */
#define LINUX_LOADED_HIGH  0x01 /* a bzImage: belongs at 1 MiB or above */
/* xloadflags */
#define LINUX_KERNEL_64	   0x01 /* may be entered in 64-bit mode, LINUX_ENTRY_64 from its start */
#define LINUX_ENTRY_64	   0x200

#define LINUX_LOADER_OTHER 0xff /* type_of_loader: one without a number of its own */

/* The setup header, at LINUX_HEADER_AT in the file. */
struct linux_header {
	u8 setup_sects; /* 512-byte sectors of real-mode code behind the first; 0 means 4 */
	u16 root_flags;
	u32 syssize; /* 16-byte units of protected-mode code */
	u16 ram_size;
	u16 vid_mode;
	u16 root_dev;
	u16 boot_flag;
	u8 jump;	/* opcode */
	u8 jump_offset; /* from behind it to the end of this header */
	u32 magic;
	u16 version;
	u32 realmode_switch;
	u16 start_sys_seg;
	u16 kernel_version; /* offset of a string, less 0x200 */
	u8 type_of_loader;
	u8 loadflags;
	u16 setup_move_size;
	u32 code32_start;
	u32 ramdisk_image;
	u32 ramdisk_size;
	u32 bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver;
	u8 ext_loader_type;
	u32 cmd_line_ptr;
	u32 initrd_addr_max; /* the highest address that a byte of the initrd may have */
	u32 kernel_alignment;
	u8 relocatable_kernel;
	u8 min_alignment;
	u16 xloadflags;
	u32 cmdline_size; /* without the zero behind it */
	u32 hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset;
	u32 payload_length;
	u64 setup_data;
	u64 pref_address;
	u32 init_size;
} __packed;

#define LINUX_ASSERT_AT(field, offset)                                                     \
	_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, field) == (offset), \
		       "boot.rst, the real-mode kernel header")
LINUX_ASSERT_AT(syssize, 0x1f4);
LINUX_ASSERT_AT(boot_flag, LINUX_FLAG_AT);
LINUX_ASSERT_AT(jump, 0x200);
LINUX_ASSERT_AT(magic, LINUX_MAGIC_AT);
LINUX_ASSERT_AT(kernel_version, 0x20e);
LINUX_ASSERT_AT(code32_start, 0x214);
LINUX_ASSERT_AT(cmd_line_ptr, 0x228);
LINUX_ASSERT_AT(xloadflags, 0x236);
LINUX_ASSERT_AT(cmdline_size, 0x238);
LINUX_ASSERT_AT(pref_address, 0x258);
LINUX_ASSERT_AT(init_size, 0x260);

struct linux_e820 {
	u64 start, size;
	u32 type;
} __packed;

#define LINUX_E820_MAX 128

/* The "zero page": what the kernel is told, zero where it is told nothing. */
struct linux_params {
	u8 unused1[0x1e8];
	u8 e820_entries;
	u8 unused2[LINUX_HEADER_AT - 0x1e9];
	union {
		struct linux_header header;
		u8 header_bytes[LINUX_HEADER_MAX - LINUX_HEADER_AT];
	};
	u8 unused3[0x2d0 - LINUX_HEADER_MAX];
	struct linux_e820 e820[LINUX_E820_MAX];
	u8 unused4[0x1000 - 0x2d0 - LINUX_E820_MAX * sizeof(struct linux_e820)];
} __packed;
_Static_assert(offsetof(struct linux_params, e820_entries) == 0x1e8, "zero-page.rst");
_Static_assert(offsetof(struct linux_params, header) == LINUX_HEADER_AT, "zero-page.rst");
_Static_assert(offsetof(struct linux_params, e820) == 0x2d0, "zero-page.rst");
_Static_assert(sizeof(struct linux_params) == 4096, "zero-page.rst");

#endif
