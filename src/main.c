/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c: the door. host/ has brought the machine up; say what its processor offers, read which VMs
 * are wanted, make them, run them until all have stopped, and leave.
 *
 * Casita's own command line knows one word:
 *
 *	exits	print each VM's table of exits at the end
 */
#include "host/host.h"
#include "lib/print.h"
#include "svm/detect.h"
#include "vmx/detect.h"
#if STAGE >= 1
#include "vmm/trace.h"
#include "vmm/vcpu.h"
#endif

/* One line: whose virtualization this processor has, and what it offers; or why there is none. */
static void describe_processor(void)
{
	const char *svm_why, *vmx_why;

	if (svm_detect(&svm_why))
		svm_describe();
	else if (vmx_detect(&vmx_why))
		vmx_describe();
	else
		print("casita: no AMD SVM: %s\ncasita: no Intel VT-x: %s\n", svm_why, vmx_why);
}

#if STAGE >= 1
/* What the machine's exit status says, beside the status of a guest that gave one (0-99). */
#define STATUS_BAD_CONFIG 100
#define STATUS_FAILED	  101
#define STATUS_SHUTDOWN	  102

static bool want_exits;

/* Return: 0, or the status to leave with. */
static u8 read_cmdline(void)
{
	const char *at = boot_cmdline();

	for (struct word w = word_next(&at); w.n; w = word_next(&at)) {
		if (!word_is(w, "exits")) {
			print("casita: \"%.*s\" on the command line is not known; there is: "
			      "exits\n",
			      w.n, w.text);
			return STATUS_BAD_CONFIG;
		}
		want_exits = true;
	}
	return 0;
}

static u8 status_of(const struct vm *vm)
{
	if (vm->state == VM_EXITED)
		return vm->status;
	if (vm->state == VM_FAILED)
		return STATUS_FAILED;
	return vm->state == VM_SHUTDOWN ? STATUS_SHUTDOWN : 0;
}

/*
 * The first VM that did not end well gives the machine's status. They are not taken apart: the
 * machine ends with them.
 */
static u8 run_all(const struct vm_config *configs, unsigned count)
{
	struct vm *vms[VMS_MAX];
	u8 status = 0;

	for (unsigned i = 0; i < count; i++) {
		if (vm_create(&configs[i], &vms[i])) {
			while (i--)
				vm_destroy(vms[i]);
			return STATUS_FAILED;
		}
	}
	vmm_run(vms, count);
	for (unsigned i = 0; i < count; i++) {
		if (want_exits)
			trace_print(vms[i]);
		if (!status)
			status = status_of(vms[i]);
	}
	return status;
}

static int run_vms(void)
{
	static struct vm_config configs[VMS_MAX];
	const struct boot_module *modules;
	unsigned module_count;
	char error[200];
	u8 status;
	int vms;

	status = read_cmdline();
	if (status)
		return status;
	modules = boot_modules(&module_count);
	vms = config_parse(modules, module_count, configs, error, sizeof(error));
	if (vms < 0) {
		print("casita: %s\n", error);
		return STATUS_BAD_CONFIG;
	}
	if (vmm_init())
		return STATUS_FAILED;
	if (vms == 0) {
		print("casita: no VM to run: give a kernel as a boot module\n");
		return STATUS_BAD_CONFIG;
	}
	return run_all(configs, vms);
}
#endif

int casita_main(void)
{
	if (BUILT_WITHOUT[0])
		print("casita: built without%s\n", BUILT_WITHOUT);
	describe_processor();
#if STAGE >= 1
	return run_vms();
#else
	return 0;
#endif
}
