/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c: what VMs to run, from the words behind the boot modules' names. config.h has the words.
 *
 *	1. words: cutting a module's string, each word to its place in a table
 *	2. values: what stands behind the =
 *	3. kernels: a module without for= makes a VM
 *	4. files: a module with for= joins one
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
#define MEM_LEAST      MIB
#define ADDRESS_LIMIT  BIT(52) /* no x86 has wider physical addresses (APM vol. 2 §5.3) */
#define DEFAULT_NAME   "vm"
#define IMPLIED_LOADER "flat" /* by at= and mode=, which mean nothing to others */

/* Names without directories; a module's string goes on behind its name, so they need a place. */
static char file_names[MODULES_MAX][FILE_NAME_MAX];

enum key {
	KEY_VM,
	KEY_MEM,
	KEY_PAGING,
	KEY_LOADER,
	KEY_AT,
	KEY_MODE,
	KEY_TRAP,
	KEY_CPUID,
	KEY_MSR,
	KEY_IO,
	KEY_AS,
	KEY_FOR,
	KEY_COUNT
};

static const char *const key_names[KEY_COUNT] = {
	[KEY_VM] = "vm=",	  [KEY_MEM] = "mem=",	  [KEY_PAGING] = "paging=",
	[KEY_LOADER] = "loader=", [KEY_AT] = "at=",	  [KEY_MODE] = "mode=",
	[KEY_TRAP] = "trap=",	  [KEY_CPUID] = "cpuid=", [KEY_MSR] = "msr=",
	[KEY_IO] = "io=",	  [KEY_AS] = "as=",	  [KEY_FOR] = "for=",
};

/* A module, cut into words. */
struct request {
	struct vm_file file;
	struct word values[KEY_COUNT];
};

struct parse {
	const struct boot_module *modules;
	unsigned count;
	struct vm_config *configs;
	unsigned vm_count;
	char *error;
	size_t error_size;
};

static int __printf(2, 3) refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_format_v(p->error, p->error_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- 1. words ------------------------------------------------------------------------ */

/* Put a word behind its key, once. */
static int take_word(struct parse *p, struct request *r, struct word w)
{
	for (enum key key = 0; key < KEY_COUNT; key++) {
		int n = strlen(key_names[key]);

		if (w.n < n || memcmp(w.text, key_names[key], n))
			continue;
		if (w.n == n)
			return refuse(p, "module %s: %s has no value", r->file.name,
				      key_names[key]);
		if (r->values[key].text)
			return refuse(p, "module %s: %s is there twice", r->file.name,
				      key_names[key]);
		r->values[key] = (struct word){w.text + n, w.n - n};
		return 0;
	}
	return refuse(p,
		      "module %s: unknown word \"%.*s\" (vm= mem= paging= loader= at= mode= trap= "
		      "cpuid= msr= io= for= as=; -- ends them)",
		      r->file.name, WORD(w));
}

static int read_request(struct parse *p, unsigned module, struct request *r)
{
	const struct boot_module *m = &p->modules[module];
	const char *at = m->string;
	struct word w = word_next(&at);
	int slash = word_find_last(w, '/');

	w = (struct word){w.text + slash + 1, w.n - slash - 1};
	*r = (struct request){};
	if (!w.n)
		return refuse(p, "module %u of %u has no file name", module + 1, p->count);
	word_copy(file_names[module], FILE_NAME_MAX, w);
	r->file = (struct vm_file){
		.name = file_names[module],
		.data = m->data,
		.size = m->size,
		.cmdline = "",
	};
	for (w = word_next(&at); w.n; w = word_next(&at)) {
		int err;

		if (word_is(w, "--")) {
			r->file.cmdline = word_skip_blanks(at);
			break;
		}
		err = take_word(p, r, w);
		if (err)
			return err;
	}
	return 0;
}

/* ---- 2. values ----------------------------------------------------------------------- */

static int bad_value(struct parse *p, const struct request *r, enum key key, const char *accepted)
{
	return refuse(p, "module %s: %s%.*s: it must be %s", r->file.name, key_names[key],
		      WORD(r->values[key]), accepted);
}

static int read_mem(struct parse *p, const struct request *r, struct vm_config *out)
{
	struct word w = r->values[KEY_MEM];
	u64 size = MEM_DEFAULT;

	if (w.text && str_to_u64(w.text, w.n, &size))
		return bad_value(p, r, KEY_MEM,
				 "a number of bytes, or with K, M or G, such as 64M");
	if (size < MEM_LEAST || size >= ADDRESS_LIMIT)
		return bad_value(p, r, KEY_MEM, "at least 1M, and in reach of 52 address bits");
	out->mem = align_up(size, LARGE_SIZE);
	return 0;
}

static int read_at(struct parse *p, const struct request *r, struct vm_config *out)
{
	struct word w = r->values[KEY_AT];

	if (w.text && (str_to_u64(w.text, w.n, &out->at) || out->at >= ADDRESS_LIMIT))
		return bad_value(p, r, KEY_AT, "an address of 52 bits at most, such as 0x7c00");
	return 0;
}

static int read_mode(struct parse *p, const struct request *r, struct vm_config *out)
{
	static const char *const modes[] = {
		[START_REAL] = "real",
		[START_PROTECTED] = "protected",
		[START_LONG] = "long",
	};

	if (!r->values[KEY_MODE].text)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		if (word_is(r->values[KEY_MODE], modes[i])) {
			out->mode = i;
			return 0;
		}
	}
	return bad_value(p, r, KEY_MODE, "real, protected or long");
}

/* trap=WORD+WORD…; a last + is followed by an empty word, which is a wrong one. */
static int read_trap(struct parse *p, const struct request *r, struct vm_config *out)
{
	struct word all = r->values[KEY_TRAP];

	for (int i = 0; all.text && i <= all.n; i++) {
		struct word w = {.text = all.text + i};

		for (; i < all.n && all.text[i] != '+'; i++)
			w.n++;
		if (!word_is(w, "cr"))
			return bad_value(p, r, KEY_TRAP, "cr");
		out->trap_cr = true;
	}
	return 0;
}

/* The name of a thing that may be linked or not: who looks for it says what there is. */
static int read_name(struct parse *p, const struct request *r, enum key key, char *out, size_t size)
{
	struct word w = r->values[key];

	if ((size_t)w.n >= size)
		return refuse(p, "module %s: %s%.*s: no name is longer than %zu characters",
			      r->file.name, key_names[key], WORD(w), size - 1);
	if (w.text)
		word_copy(out, size, w);
	return 0;
}

static int read_paging(struct parse *p, const struct request *r, struct vm_config *out)
{
	return read_name(p, r, KEY_PAGING, out->paging, sizeof(out->paging));
}

/* at= and mode= are the flat loader's: they choose it, and are wrong with any other. */
static int read_loader(struct parse *p, const struct request *r, struct vm_config *out)
{
	enum key key = r->values[KEY_AT].text ? KEY_AT : KEY_MODE;
	int err = read_name(p, r, KEY_LOADER, out->loader, sizeof(out->loader));

	if (err || !r->values[key].text)
		return err;
	if (!*out->loader)
		str_copy(out->loader, sizeof(out->loader), IMPLIED_LOADER);
	if (strcmp(out->loader, IMPLIED_LOADER))
		return refuse(p, "module %s: %s is for loader=" IMPLIED_LOADER ", not loader=%s",
			      r->file.name, key_names[key], out->loader);
	return 0;
}

/* ---- 3. kernels ---------------------------------------------------------------------- */

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

	if (dot >= 0)
		w.n = dot;
	word_copy(out, VM_NAME_MAX, w);
	for (char *c = out; *c; c++)
		*c = is_name_char(*c) ? *c : '_';
	if (!*out)
		str_copy(out, VM_NAME_MAX, DEFAULT_NAME);
}

static int read_vm_name(struct parse *p, const struct request *r, struct vm_config *out)
{
	struct word w = r->values[KEY_VM];

	if (!w.text)
		default_vm_name(r, out->name);
	for (int i = 0; i < w.n; i++) {
		if (!is_name_char(w.text[i]))
			return bad_value(p, r, KEY_VM, "of letters, digits, - and _");
	}
	return read_name(p, r, KEY_VM, out->name, VM_NAME_MAX);
}

static struct vm_config *find_vm(struct parse *p, struct word name)
{
	for (unsigned i = 0; i < p->vm_count; i++) {
		if (word_is(name, p->configs[i].name))
			return &p->configs[i];
	}
	return NULL;
}

typedef int reader_fn(struct parse *p, const struct request *r, struct vm_config *out);

static int add_vm(struct parse *p, const struct request *r)
{
	static reader_fn *const readers[] = {
		read_vm_name, read_mem, read_paging, read_loader, read_at, read_mode, read_trap,
	};
	struct vm_config *config = &p->configs[p->vm_count];

	if (p->vm_count == VMS_MAX)
		return refuse(p, "module %s: more than %d VMs", r->file.name, VMS_MAX);
	if (r->values[KEY_AS].text)
		return refuse(p, "module %s: as=%.*s needs for=, the VM that the file is for",
			      r->file.name, WORD(r->values[KEY_AS]));
	*config = (struct vm_config){
		.at = UINT64_MAX,
		.cpuid = r->values[KEY_CPUID],
		.msr = r->values[KEY_MSR],
		.io = r->values[KEY_IO],
		.kernel = r->file,
	};
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		int err = readers[i](p, r, config);

		if (err)
			return err;
	}
	if (find_vm(p, (struct word){config->name, strlen(config->name)}))
		return refuse(p, "module %s: there is a VM \"%s\" already; name this one with vm=",
			      r->file.name, config->name);
	p->vm_count++;
	return 0;
}

/* ---- 4. files ------------------------------------------------------------------------ */

static int add_file(struct parse *p, const struct request *r)
{
	struct vm_config *vm = find_vm(p, r->values[KEY_FOR]);
	struct word as = r->values[KEY_AS];

	for (enum key key = 0; key < KEY_AS; key++) {
		if (r->values[key].text)
			return refuse(p,
				      "module %s: %s is for kernels, for= makes it a file of one",
				      r->file.name, key_names[key]);
	}
	if (!vm)
		return refuse(p, "module %s: for=%.*s: there is no such VM", r->file.name,
			      WORD(r->values[KEY_FOR]));
	if (as.text && word_is(as, "initrd")) {
		if (vm->initrd.data)
			return refuse(p, "module %s: VM \"%s\" has an initrd already: %s",
				      r->file.name, vm->name, vm->initrd.name);
		vm->initrd = r->file;
		return 0;
	}
	if (as.text && !word_is(as, "module"))
		return bad_value(p, r, KEY_AS, "initrd or module");
	if (vm->module_count == VM_FILES_MAX)
		return refuse(p, "module %s: more than %d files for VM \"%s\"", r->file.name,
			      VM_FILES_MAX, vm->name);
	vm->modules[vm->module_count++] = r->file;
	return 0;
}

static int read_all(struct parse *p, bool files)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct request r;
		int err = read_request(p, i, &r);

		if (!err && files == !!r.values[KEY_FOR].text)
			err = files ? add_file(p, &r) : add_vm(p, &r);
		if (err)
			return err;
	}
	return 0;
}

int config_parse(const struct boot_module *modules, unsigned count, struct vm_config *configs,
		 char *error, size_t error_size)
{
	struct parse p = {
		.modules = modules,
		.count = count,
		.configs = configs,
		.error = error,
		.error_size = error_size,
	};
	int err;

	if (count > MODULES_MAX)
		return refuse(&p, "%u modules are more than %d VMs can have", count, VMS_MAX);
	err = read_all(&p, false);
	if (!err)
		err = read_all(&p, true);
	return err ? err : (int)p.vm_count;
}
