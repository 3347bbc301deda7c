/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_config.c: modules with random words, parsed under AddressSanitizer.
 *
 *	fuzz_config [rounds [seed]]
 *
 * Each module's string is a few pieces of the configuration's language and of rubbish, some without
 * a blank between them, in an allocation of just its size. What must hold besides: a refusal has a
 * sentence that ends, and what is accepted keeps the promises of config.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/errno.h"
#include "vmm/config.h"

#define ROUNDS	    300000
#define MODULES_MAX 100
#define ERROR_SIZE  160

static const char *const pieces[] = {
	"k",
	"a/b.elf",
	"/",
	".",
	"vm=",
	"vm=a",
	"vm=b",
	"for=",
	"for=a",
	"for=k",
	"as=",
	"as=initrd",
	"mem=",
	"mem=4M",
	"1G",
	"0x",
	"999999999",
	"paging=",
	"at=",
	"at=1M",
	"mode=",
	"mode=long",
	"trap=",
	"trap=cr",
	"+cr",
	"loader=",
	"flat",
	"linux",
	"--",
	"-- quiet",
	"\t",
	"\xff",
	"for=a as=initrd",
	"a_rather_long_word_without_any_blank_in_it",
};

static u64 state;

/* xorshift64 (Marsaglia 2003) */
static u64 below(u64 n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static char *random_string(void)
{
	char text[512] = "";

	if (below(8))
		strcat(text, below(2) ? "k " : "f for=k ");
	for (u64 n = below(6); n > 0; n--) {
		strcat(text, pieces[below(ARRAY_SIZE(pieces))]);
		if (below(4))
			strcat(text, " ");
	}
	return strdup(text);
}

/* Nothing wrong with it, but that there may be too many like it. */
static char *clean_string(unsigned module)
{
	char text[32] = "file for=k0";

	if (module == 0 || !below(10))
		snprintf(text, sizeof(text), "k%u", module);
	return strdup(text);
}

static void fail(u64 seed, const char *what, const char *detail)
{
	fprintf(stderr, "fuzz_config: seed %lu: %s: %s\n", seed, what, detail);
	exit(1);
}

static void check_config(u64 seed, const struct vm_config *c)
{
	if (!*c->name || strlen(c->name) >= VM_NAME_MAX)
		fail(seed, "a bad name", c->name);
	if (!c->mem || c->mem % LARGE_SIZE)
		fail(seed, "memory is not in units of 2 MiB", c->name);
	if (!c->kernel.name || !c->kernel.cmdline || c->module_count > VM_FILES_MAX)
		fail(seed, "a bad file", c->name);
	for (unsigned i = 0; i < c->module_count; i++) {
		if (!*c->modules[i].name || !c->modules[i].cmdline)
			fail(seed, "a bad module", c->name);
	}
}

/* Return: whether the modules were accepted. */
static bool round_of(void)
{
	struct boot_module modules[MODULES_MAX];
	struct vm_config *configs = malloc(VMS_MAX * sizeof(*configs));
	char *error = malloc(ERROR_SIZE);
	bool clean = !below(4);
	unsigned count = below(4) ? below(6) : below(MODULES_MAX);
	u64 seed = state;
	int vms;

	for (unsigned i = 0; i < count; i++)
		modules[i] = (struct boot_module){
			.data = "x",
			.size = 1,
			.string = clean ? clean_string(i) : random_string(),
		};
	memset(error, 'x', ERROR_SIZE);
	vms = config_parse(modules, count, configs, error, ERROR_SIZE);
	if (vms < 0 && (vms != -EINVAL || !memchr(error, 0, ERROR_SIZE) || strlen(error) < 10))
		fail(seed, "refused without a reason", "");
	if (vms > VMS_MAX)
		fail(seed, "too many VMs", "");
	for (int i = 0; i < vms; i++)
		check_config(seed, &configs[i]);
	for (unsigned i = 0; i < count; i++)
		free((char *)modules[i].string);
	free(configs);
	free(error);
	return vms >= 0;
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : ROUNDS, accepted = 0;

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	for (u64 i = 0; i < rounds; i++)
		accepted += round_of();
	printf("fuzz_config: %lu configurations, %lu accepted\n", rounds, accepted);
	return accepted == 0 || accepted == rounds;
}
