/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_config.c: tests of the words that describe VMs.
 */
#include <stdio.h>
#include <string.h>
#include "lib/errno.h"
#include "suite.h"
#include "vmm/config.h"

#define MODULES_MAX 100
#define ERROR_SIZE  200 /* as main.c has it */

static struct vm_config configs[VMS_MAX];
static char error[ERROR_SIZE];
static const u8 contents[MODULES_MAX]; /* module n's data is at contents + n, n + 1 bytes of it */

static int parse(unsigned count, const char *const *strings)
{
	struct boot_module modules[MODULES_MAX];

	for (unsigned i = 0; i < count; i++)
		modules[i] = (struct boot_module){
			.data = contents + i,
			.size = i + 1,
			.string = strings[i],
		};
	memset(configs, 0xee, sizeof(configs));
	error[0] = 0;
	return config_parse(modules, count, configs, error, sizeof(error));
}

#define PARSE(...) \
	parse(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void assert_file(const struct vm_file *f, unsigned module, const char *name,
			const char *cmdline)
{
	ck_assert_str_eq(f->name, name);
	ck_assert_str_eq(f->cmdline, cmdline);
	ck_assert_ptr_eq(f->data, contents + module);
	ck_assert_uint_eq(f->size, module + 1);
}

/* ---- what is right ------------------------------------------------------------------------- */

START_TEST(no_modules_are_no_vms)
{
	ck_assert_int_eq(config_parse(NULL, 0, configs, error, sizeof(error)), 0);
}
END_TEST

START_TEST(a_name_alone_is_a_vm)
{
	const struct vm_config *c = &configs[0];

	ck_assert_int_eq(PARSE("build/guests/hello.elf"), 1);
	ck_assert_str_eq(c->name, "hello");
	ck_assert_uint_eq(c->mem, 64 * MIB);
	ck_assert_str_eq(c->paging, "");
	ck_assert_str_eq(c->loader, "");
	ck_assert_uint_eq(c->at, UINT64_MAX);
	ck_assert_int_eq(c->mode, START_REAL);
	ck_assert(!c->trap_cr);
	assert_file(&c->kernel, 0, "hello.elf", "");
	ck_assert_ptr_null(c->initrd.data);
	ck_assert_uint_eq(c->module_count, 0);
}
END_TEST

START_TEST(all_words_of_a_kernel)
{
	const struct vm_config *c = &configs[0];

	ck_assert_int_eq(PARSE("/boot/raw.bin vm=my_VM-2 mem=128M paging=shadow loader=flat "
			       "at=0x20000 mode=long trap=cr -- a  b=c --  d "),
			 1);
	ck_assert_str_eq(c->name, "my_VM-2");
	ck_assert_uint_eq(c->mem, 128 * MIB);
	ck_assert_str_eq(c->paging, "shadow");
	ck_assert_str_eq(c->loader, "flat");
	ck_assert_uint_eq(c->at, 0x20000);
	ck_assert_int_eq(c->mode, START_LONG);
	ck_assert(c->trap_cr);
	assert_file(&c->kernel, 0, "raw.bin", "a  b=c --  d ");
}
END_TEST

START_TEST(blanks_do_not_count)
{
	ck_assert_int_eq(PARSE("  k.elf \t mem=2M   -- \t x", "\tf  for=k  ", "g for=k --"), 1);
	ck_assert_uint_eq(configs[0].mem, 2 * MIB);
	assert_file(&configs[0].kernel, 0, "k.elf", "x");
	ck_assert_uint_eq(configs[0].module_count, 2);
	assert_file(&configs[0].modules[0], 1, "f", "");
	assert_file(&configs[0].modules[1], 2, "g", "");
}
END_TEST

/* Files may come before their kernel, and keep their order. */
START_TEST(files_find_their_vm)
{
	ck_assert_int_eq(PARSE("i.img for=two as=initrd", "one.elf", "m for=one -- x", "k vm=two",
			       "n for=one as=module", "j.img for=one as=initrd"),
			 2);
	ck_assert_str_eq(configs[0].name, "one");
	ck_assert_str_eq(configs[1].name, "two");
	assert_file(&configs[1].initrd, 0, "i.img", "");
	assert_file(&configs[0].initrd, 5, "j.img", "");
	ck_assert_uint_eq(configs[0].module_count, 2);
	ck_assert_uint_eq(configs[1].module_count, 0);
	assert_file(&configs[0].modules[0], 2, "m", "x");
	assert_file(&configs[0].modules[1], 4, "n", "");
}
END_TEST

static const struct {
	const char *string, *name;
} default_names[] = {
	{"bzImage", "bzImage"},
	{"a/b/vmlinuz-6.1.0", "vmlinuz-6_1"},
	{"a b.elf vm=x", NULL}, /* not a name: "b.elf" is an unknown word */
	{"/x/.elf", "vm"},
	{"k+\xc3\xa4.elf", "k___"},
	{"a-name_of.more_than.sixteen.characters", "a-name_of_more_"},
	{"abcdefghijklmno.elf", "abcdefghijklmno"},
	{"a_file_name_that_has_more_than_32_characters.elf", "a_file_name_tha"},
};

START_TEST(name_comes_from_the_file)
{
	int n = PARSE(default_names[_i].string);

	ck_assert_int_eq(n, default_names[_i].name ? 1 : -EINVAL);
	if (n == 1)
		ck_assert_str_eq(configs[0].name, default_names[_i].name);
}
END_TEST

static const struct {
	const char *string;
	u64 mem;
} sizes[] = {
	{"k mem=1M", 2 * MIB},	     {"k mem=1048577", 2 * MIB}, {"k mem=2M", 2 * MIB},
	{"k mem=2049K", 4 * MIB},    {"k mem=1G", GIB},		 {"k mem=0x200000", 2 * MIB},
	{"k mem=3000M", 3000 * MIB},
};

START_TEST(memory_is_rounded_up)
{
	ck_assert_int_eq(PARSE(sizes[_i].string), 1);
	ck_assert_uint_eq(configs[0].mem, sizes[_i].mem);
}
END_TEST

START_TEST(at_and_mode_imply_flat)
{
	ck_assert_int_eq(PARSE("a at=0", "b mode=protected", "c loader=linux", "d mode=real"), 4);
	ck_assert_str_eq(configs[0].loader, "flat");
	ck_assert_uint_eq(configs[0].at, 0);
	ck_assert_str_eq(configs[1].loader, "flat");
	ck_assert_int_eq(configs[1].mode, START_PROTECTED);
	ck_assert_str_eq(configs[2].loader, "linux");
	ck_assert_str_eq(configs[3].loader, "flat");
}
END_TEST

START_TEST(as_many_as_there_is_room_for)
{
	static char strings[VMS_MAX * (1 + VM_FILES_MAX)][32];
	const char *pointers[ARRAY_SIZE(strings)];
	unsigned n = 0;

	for (unsigned vm = 0; vm < VMS_MAX; vm++) {
		pointers[n] = strings[n];
		snprintf(strings[n++], 32, "kernel%u", vm);
		for (unsigned i = 0; i < VM_FILES_MAX; i++) {
			pointers[n] = strings[n];
			snprintf(strings[n++], 32, "file%u.%u for=kernel%u", vm, i, vm);
		}
	}
	ck_assert_int_eq(parse(n, pointers), VMS_MAX);
	ck_assert_uint_eq(configs[7].module_count, VM_FILES_MAX);
	assert_file(&configs[7].modules[7], 71, "file7.7", "");
	assert_file(&configs[0].kernel, 0, "kernel0", "");
}
END_TEST

/* ---- what is wrong ------------------------------------------------------------------------- */

#define LONG "a_word_that_is_longer_than_any_that_there_could_be_and_goes_on_and_on"

static const struct {
	const char *first, *second, *third;
	const char *words;
} wrong[] = {
	{"", NULL, NULL, "module 1 of 1 has no file name"},
	{"k", "dir/ for=k", NULL, "module 2 of 2 has no file name"},
	{"k mem", NULL, NULL, "module k: unknown word \"mem\""},
	{"k Mem=1M", NULL, NULL, "unknown word \"Mem=1M\""},
	{"k quiet", NULL, NULL,
	 "(vm= mem= paging= loader= at= mode= trap= cpuid= msr= io= for= as=; -- ends them)"},
	{"k --quiet", NULL, NULL, "unknown word \"--quiet\""},
	{LONG " " LONG, NULL, NULL, "unknown word \"a_word_that_is_longer_than_any_t\""},
	{"k vm=", NULL, NULL, "module k: vm= has no value"},
	{"k mem=2M mem=2M", NULL, NULL, "module k: mem= is there twice"},
	{"k vm=a.b", NULL, NULL, "vm=a.b: it must be of letters, digits"},
	{"k vm=abcdefghijklmnop", NULL, NULL, "vm=abcdefghijklmnop: no name is longer than 15"},
	{"k vm=a", "l vm=a", NULL, "module l: there is a VM \"a\" already"},
	{"k.elf", "k.bin", NULL,
	 "module k.bin: there is a VM \"k\" already; name this one with vm="},
	{"k mem=1023K", NULL, NULL, "mem=1023K: it must be at least 1M"},
	{"k mem=0", NULL, NULL, "mem=0: it must be at least 1M"},
	{"k mem=16777216G", NULL, NULL, "in reach of 52 address bits"},
	{"k mem=18446744073709551615", NULL, NULL, "in reach of 52 address bits"},
	{"k mem=18446744073709551616", NULL, NULL, "mem=18446744073709551616: it must be a number"},
	{"k mem=2m", NULL, NULL, "mem=2m: it must be a number"},
	{"k mem=-2M", NULL, NULL, "mem=-2M: it must be a number"},
	{"k paging=nestednested", NULL, NULL, "paging=nestednested: no name is longer than 11"},
	{"k loader=multibootmul", NULL, NULL, "loader=multibootmul: no name is longer than 11"},
	{"k at=7c00", NULL, NULL, "at=7c00: it must be an address"},
	{"k at=0x10000000000000", NULL, NULL, "at=0x10000000000000: it must be an address of 52"},
	{"k at=0xffffffffffffffff", NULL, NULL, "at=0xffffffffffffffff: it must be"},
	{"k mode=Real", NULL, NULL, "mode=Real: it must be real, protected or long"},
	{"k mode=realmode", NULL, NULL, "mode=realmode: it must be"},
	{"k trap=cr+", NULL, NULL, "trap=cr+: it must be cr"},
	{"k trap=+cr", NULL, NULL, "trap=+cr: it must be cr"},
	{"k trap=cr+cpuid", NULL, NULL, "trap=cr+cpuid: it must be cr"},
	{"k at=0 loader=linux", NULL, NULL, "module k: at= is for loader=flat, not loader=linux"},
	{"k loader=linux mode=long", NULL, NULL, "mode= is for loader=flat"},
	{"k as=initrd", NULL, NULL, "module k: as=initrd needs for="},
	{"k", "f for=l", NULL, "module f: for=l: there is no such VM"},
	{"k", "f for=K", NULL, "for=K: there is no such VM"},
	{"f for=f", NULL, NULL, "for=f: there is no such VM"},
	{"k", "f for=k vm=l", NULL, "module f: vm= is for kernels"},
	{"k", "f for=k mem=2M", NULL, "module f: mem= is for kernels"},
	{"k", "f for=k as=kernel", NULL, "as=kernel: it must be initrd or module"},
	{"k", "f for=k as=initrd", "g for=k as=initrd",
	 "module g: VM \"k\" has an initrd already: f"},
	{"k", "f for=k for=k", NULL, "for= is there twice"},
	{"k", "k2 " LONG, "f for=l", "module k2: unknown word"},
};

START_TEST(wrong_words_are_named)
{
	const char *strings[] = {wrong[_i].first, wrong[_i].second, wrong[_i].third};
	unsigned count = 1 + !!strings[1] + !!strings[2];

	ck_assert_int_eq(parse(count, strings), -EINVAL);
	ck_assert_msg(strstr(error, wrong[_i].words), "\"%s\" is not in: %s", wrong[_i].words,
		      error);
	ck_assert_msg(strlen(error) < ERROR_SIZE - 1, "too long: %s", error);
}
END_TEST

static void assert_one_too_many(unsigned count, const char *format, const char *first,
				const char *words)
{
	static char strings[MODULES_MAX][32];
	const char *pointers[MODULES_MAX];

	for (unsigned i = 0; i < count; i++) {
		snprintf(strings[i], sizeof(strings[i]), format, i);
		pointers[i] = strings[i];
	}
	if (first)
		pointers[0] = first;
	ck_assert_int_eq(parse(count, pointers), -EINVAL);
	ck_assert_msg(strstr(error, words), "\"%s\" is not in: %s", words, error);
}

START_TEST(there_can_be_too_many)
{
	assert_one_too_many(VMS_MAX + 1, "k%u", NULL, "module k8: more than 8 VMs");
	assert_one_too_many(VM_FILES_MAX + 2, "f%u for=k", "k",
			    "module f9: more than 8 files for VM \"k\"");
	assert_one_too_many(VMS_MAX * 10 + 1, "f%u for=k", "k", "81 modules are more than 8 VMs");
}
END_TEST

/* An error that does not fit is cut, as any text is, and nothing is written behind it. */
START_TEST(error_fits_its_buffer)
{
	struct boot_module module = {.data = contents, .size = 1, .string = "k nonsense"};
	char small[16];

	memset(small, 'x', sizeof(small));
	ck_assert_int_eq(config_parse(&module, 1, configs, small, 10), -EINVAL);
	ck_assert_str_eq(small, "module k:");
	ck_assert_int_eq(small[10], 'x');
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *good = tcase_create("right"), *bad = tcase_create("wrong");

	tcase_add_test(good, no_modules_are_no_vms);
	tcase_add_test(good, a_name_alone_is_a_vm);
	tcase_add_test(good, all_words_of_a_kernel);
	tcase_add_test(good, blanks_do_not_count);
	tcase_add_test(good, files_find_their_vm);
	tcase_add_loop_test(good, name_comes_from_the_file, 0, ARRAY_SIZE(default_names));
	tcase_add_loop_test(good, memory_is_rounded_up, 0, ARRAY_SIZE(sizes));
	tcase_add_test(good, at_and_mode_imply_flat);
	tcase_add_test(good, as_many_as_there_is_room_for);
	suite_add_tcase(suite, good);
	tcase_add_loop_test(bad, wrong_words_are_named, 0, ARRAY_SIZE(wrong));
	tcase_add_test(bad, there_can_be_too_many);
	tcase_add_test(bad, error_fits_its_buffer);
	suite_add_tcase(suite, bad);
	return suite;
}
SET_ADD(suites, suite_fn, config_suite);
