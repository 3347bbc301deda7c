/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vmlinuz.c: the Linux loader and a real kernel, Debian's, if it has been fetched.
 *
 * The kernel is looked for below build/linux, where `make run` puts it; VMLINUZ=file names another.
 * Without one, the test says that it did not take place.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/errno.h"
#include "lib/print.h"
#include "loading.h"
#include "suite.h"

#define RAM (128 * MIB)

static const char *const patterns[] = {
	"../../build/linux/bzImage",
	"../../build/linux/vmlinuz*",
	"../../build/linux/*/vmlinuz*",
	"../../build/linux/*/boot/vmlinuz*",
};

/* Return: whether there is one. */
static bool find_kernel(char *path, size_t size)
{
	const char *named = getenv("VMLINUZ");
	glob_t found = {};

	if (named)
		return snprintf(path, size, "%s", named) < (int)size;
	for (unsigned i = 0; i < ARRAY_SIZE(patterns); i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	if (found.gl_pathc)
		snprintf(path, size, "%s", found.gl_pathv[0]);
	else
		fprintf(stderr, "test_vmlinuz: no kernel in build/linux, not tested\n");
	globfree(&found);
	return *path;
}

static struct image_file read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct image_file image = {};

	ck_assert_msg(f && !fseek(f, 0, SEEK_END), "%s cannot be read", path);
	image.size = ftell(f);
	rewind(f);
	image.data = malloc(image.size);
	ck_assert_uint_eq(fread(image.data, 1, image.size, f), image.size);
	fclose(f);
	return image;
}

static char printed[100];

static void keep_print(const char *text, size_t n)
{
	strncat(printed, text, min(n, sizeof(printed) - 1 - strlen(printed)));
}

START_TEST(vmlinuz_is_loaded)
{
	struct image_file initrd = image_flat(MIB + 1);
	char path[200] = "";
	struct loading l;
	u64 load_at, code_at;

	if (!find_kernel(path, sizeof(path))) {
		image_free(&initrd);
		return;
	}
	print_sink = keep_print;
	loading_begin(&l, read_file(path), RAM);
	l.m.config.kernel.cmdline = "console=ttyS0";
	l.m.config.initrd = image_vm_file(&initrd, "initrd.img", "");
	ck_assert(probe(&l, "linux"));
	ck_assert(!probe(&l, "multiboot"));
	ck_assert_msg(load(&l, "linux") == 0, "%s", l.m.vm.reason);
	load_at = get64(l.file.data + 0x258);
	code_at = (l.file.data[0x1f1] + 1) * 512;
	ck_assert_uint_eq(l.m.cpu.regs[VREG_RIP], load_at + 0x200);
	assert_bytes(&l, load_at, code_at, get32(l.file.data + 0x1f4) * 16);
	ck_assert_uint_eq(get32(fake_ram(&l.m, 0x8000 + 0x218)), RAM - MIB - PAGE_SIZE);
	ck_assert_msg(!strncmp(printed, "testvm: Linux 6.", 16), "%s", printed);
	image_cut(&l.file, l.file.size - 64 * KIB);
	l.m.config.kernel = image_vm_file(&l.file, KERNEL_NAME, "");
	assert_refused(&l, "linux", -ENOEXEC, KERNEL_NAME, "cut short");
	loading_end(&l);
	image_free(&initrd);
}
END_TEST

static Suite *vmlinuz_suite(void)
{
	Suite *suite = suite_create("vmlinuz");
	TCase *real = tcase_create("a real kernel");

	tcase_add_test(real, vmlinuz_is_loaded);
	suite_add_tcase(suite, real);
	return suite;
}
SET_ADD(suites, suite_fn, vmlinuz_suite);
