/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c: what VMs to run, from the words behind the boot modules' names. config.h has the words.
 *
 * Modules come in any order, so all kernels are read before the first file. Whatever is not
 * understood is an error that names the module and the word: a misspelt mem= that was skipped would
 * cost somebody an hour.
 */
#include "lib/print.h"
#include "vmm/config.h"

#define FILE_NAME_MAX  32
#define MODULES_MAX    (VMS_MAX * (VM_FILES_MAX + 2)) /* a kernel and an initrd each */
#define MEM_DEFAULT    (64 * MIB)
#define ADDRESS_LIMIT  BIT(52) /* no x86 has wider physical addresses (APM vol. 2 §5.3) */
#define DEFAULT_NAME   "vm"
#define IMPLIED_LOADER "flat" /* by at= and mode=, which mean nothing to others */

/* Names without directories; a module's string goes on behind its name, so they need a place. */
static char file_names[MODULES_MAX][FILE_NAME_MAX];

enum key { VM, MEM, PAGING, LOADER, AT, MODE, TRAP, CPUID, MSR, IO, AS, FOR, KEYS };
static const char *const key_names[KEYS] = {"vm=",   "mem=",   "paging=", "loader=", "at=", "mode=",
					    "trap=", "cpuid=", "msr=",	  "io=",     "as=", "for="};

struct parse {
	const struct boot_module *modules;
	unsigned count;
	struct vm_config *configs;
	unsigned vm_count;
	char *error;
	size_t error_size;
};

/* A module, cut into words. */
struct request {
	struct parse *p;
	struct vm_file file;
	struct word values[KEYS];
};

static int __printf(2, 3) refuse(const struct request *r, const char *fmt, ...)
{
	struct parse *p = r->p;
	size_t n = str_format(p->error, p->error_size, "module %s: ", r->file.name);
	va_list ap;

	va_start(ap, fmt);
	if (n < p->error_size)
		str_format_v(p->error + n, p->error_size - n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int bad_value(const struct request *r, enum key key, const char *accepted)
{
	return refuse(r, "%s%.*s: it must be %s", key_names[key], WORD(r->values[key]), accepted);
}

/* ---- words: cutting a module's string, each word to its place in a table --------------------- */

/* Put a word behind its key, once. */
static int take_word(struct request *r, struct word w)
{
	for (enum key key = 0; key < KEYS; key++) {
		int n = strlen(key_names[key]);

		if (w.n < n || memcmp(w.text, key_names[key], n))
			continue;
		if (w.n == n)
			return refuse(r, "%s has no value", key_names[key]);
		if (r->values[key].text)
			return refuse(r, "%s is there twice", key_names[key]);
		r->values[key] = (struct word){w.text + n, w.n - n};
		return 0;
	}
	return refuse(r,
		      "unknown word \"%.*s\" (vm= mem= paging= loader= at= mode= trap= cpuid= msr= "
		      "io= for= as=; -- ends them)",
		      WORD(w));
}

static int read_request(struct parse *p, unsigned module, struct request *r)
{
	const struct boot_module *m = &p->modules[module];
	const char *at = m->string;
	struct word w = word_next(&at);
	int slash = word_find_last(w, '/'), err = 0;

	w = (struct word){w.text + slash + 1, w.n - slash - 1};
	if (!w.n) {
		str_format(p->error, p->error_size, "module %u of %u has no file name", module + 1,
			   p->count);
		return -EINVAL;
	}
	str_format(file_names[module], FILE_NAME_MAX, "%.*s", w.n, w.text);
	*r = (struct request){p, {file_names[module], m->data, m->size, ""}, {{0}}};
	for (w = word_next(&at); w.n && !err && !word_is(w, "--"); w = word_next(&at))
		err = take_word(r, w);
	if (w.n)
		r->file.cmdline = word_skip_blanks(at);
	return err;
}

/* ---- values: what stands behind the = -------------------------------------------------------- */

static int read_mem(const struct request *r, struct vm_config *out)
{
	struct word w = r->values[MEM];
	u64 size = MEM_DEFAULT;

	if (w.text && str_to_u64(w.text, w.n, &size))
		return bad_value(r, MEM, "a number of bytes, or with K, M or G, such as 64M");
	if (size < MIB || size >= ADDRESS_LIMIT)
		return bad_value(r, MEM, "at least 1M, and in reach of 52 address bits");
	out->mem = align_up(size, LARGE_SIZE);
	return 0;
}

static int read_at(const struct request *r, struct vm_config *out)
{
	struct word w = r->values[AT];

	if (w.text && (str_to_u64(w.text, w.n, &out->at) || out->at >= ADDRESS_LIMIT))
		return bad_value(r, AT, "an address of 52 bits at most, such as 0x7c00");
	return 0;
}

static int read_mode(const struct request *r, struct vm_config *out)
{
	static const char *const modes[] = {
		[START_REAL] = "real", [START_PROTECTED] = "protected", [START_LONG] = "long"};

	for (unsigned i = 0; i < ARRAY_SIZE(modes) && r->values[MODE].text; i++) {
		out->mode = i;
		if (word_is(r->values[MODE], modes[i]))
			return 0;
	}
	return r->values[MODE].text ? bad_value(r, MODE, "real, protected or long") : 0;
}

static int read_trap(const struct request *r, struct vm_config *out)
{
	out->trap_cr = r->values[TRAP].text;
	return out->trap_cr && !word_is(r->values[TRAP], "cr") ? bad_value(r, TRAP, "cr") : 0;
}

/* The name of a thing that may be linked or not: who looks for it says what there is. */
static int read_name(const struct request *r, enum key key, char *out, size_t size)
{
	struct word w = r->values[key];

	if ((size_t)w.n >= size)
		return refuse(r, "%s%.*s: no name is longer than %zu characters", key_names[key],
			      WORD(w), size - 1);
	if (w.text)
		str_format(out, size, "%.*s", w.n, w.text);
	return 0;
}

/* at= and mode= are the flat loader's: they choose it, and are wrong with any other. */
static int read_loader(const struct request *r, struct vm_config *out)
{
	enum key key = r->values[AT].text ? AT : MODE;
	int err = read_name(r, LOADER, out->loader, sizeof(out->loader));

	if (err || !r->values[key].text)
		return err;
	if (!*out->loader)
		str_format(out->loader, sizeof(out->loader), IMPLIED_LOADER);
	if (strcmp(out->loader, IMPLIED_LOADER))
		return refuse(r, "%s is for loader=" IMPLIED_LOADER ", not loader=%s",
			      key_names[key], out->loader);
	return 0;
}

/* ---- kernels: a module without for= makes a VM ----------------------------------------------- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* Without vm=, the file's name up to its last dot; what a name may not have becomes _. */
static void default_vm_name(const struct request *r, char *out)
{
	struct word w = {r->file.name, strlen(r->file.name)};
	int dot = word_find_last(w, '.');

	str_format(out, VM_NAME_MAX, "%.*s", dot >= 0 ? dot : w.n, w.text);
	for (char *c = out; *c; c++)
		*c = is_name_char(*c) ? *c : '_';
	if (!*out)
		str_format(out, VM_NAME_MAX, DEFAULT_NAME);
}

static int read_vm_name(const struct request *r, struct vm_config *out)
{
	struct word w = r->values[VM];

	if (!w.text)
		default_vm_name(r, out->name);
	for (int i = 0; i < w.n; i++)
		if (!is_name_char(w.text[i]))
			return bad_value(r, VM, "of letters, digits, - and _");
	return read_name(r, VM, out->name, VM_NAME_MAX);
}

static struct vm_config *find_vm(struct parse *p, struct word name)
{
	for (unsigned i = 0; i < p->vm_count; i++)
		if (word_is(name, p->configs[i].name))
			return &p->configs[i];
	return NULL;
}

static int add_vm(struct parse *p, const struct request *r)
{
	struct vm_config *config = &p->configs[p->vm_count];
	int err;

	if (p->vm_count == VMS_MAX)
		return refuse(r, "more than %d VMs", VMS_MAX);
	if (r->values[AS].text)
		return refuse(r, "as=%.*s needs for=, the VM that the file is for",
			      WORD(r->values[AS]));
	*config = (struct vm_config){.at = UINT64_MAX, .kernel = r->file};
	config->cpuid = r->values[CPUID];
	config->msr = r->values[MSR];
	config->io = r->values[IO];
	err = read_vm_name(r, config) ?: read_mem(r, config) ?: read_loader(r, config) ?:
	      read_at(r, config) ?: read_mode(r, config) ?: read_trap(r, config) ?:
	      read_name(r, PAGING, config->paging, sizeof(config->paging));
	if (err)
		return err;
	if (find_vm(p, (struct word){config->name, strlen(config->name)}))
		return refuse(r,
			      "there is a VM \"%s\" already; name this one with vm=", config->name);
	p->vm_count++;
	return 0;
}

/* ---- files: a module with for= joins one ----------------------------------------------------- */

static int add_file(struct parse *p, const struct request *r)
{
	struct vm_config *vm = find_vm(p, r->values[FOR]);
	struct word as = r->values[AS];

	for (enum key key = 0; key < AS; key++)
		if (r->values[key].text)
			return refuse(r, "%s is for kernels, for= makes it a file of one",
				      key_names[key]);
	if (!vm)
		return refuse(r, "for=%.*s: there is no such VM", WORD(r->values[FOR]));
	if (as.text && word_is(as, "initrd")) {
		if (vm->initrd.data)
			return refuse(r, "VM \"%s\" has an initrd already: %s", vm->name,
				      vm->initrd.name);
		vm->initrd = r->file;
		return 0;
	}
	if (as.text && !word_is(as, "module"))
		return bad_value(r, AS, "initrd or module");
	if (vm->module_count == VM_FILES_MAX)
		return refuse(r, "more than %d files for VM \"%s\"", VM_FILES_MAX, vm->name);
	vm->modules[vm->module_count++] = r->file;
	return 0;
}

static int read_all(struct parse *p, bool files)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct request r;
		int err = read_request(p, i, &r);

		if (!err && files == !!r.values[FOR].text)
			err = files ? add_file(p, &r) : add_vm(p, &r);
		if (err)
			return err;
	}
	return 0;
}

int config_parse(const struct boot_module *modules, unsigned count, struct vm_config *configs,
		 char *error, size_t error_size)
{
	struct parse p = {modules, count, configs, 0, error, error_size};

	if (count > MODULES_MAX) {
		str_format(error, error_size, "%u modules are more than %d VMs can have", count,
			   VMS_MAX);
		return -EINVAL;
	}
	return read_all(&p, false) ?: read_all(&p, true) ?: (int)p.vm_count;
}
