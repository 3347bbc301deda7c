/* SPDX-License-Identifier: BSD-3-Clause */
/* console.h: the run loop's side of the VMs' consoles; devices use vm_console_*() of vm.h. */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "vmm/vm.h"

/** vm_console_shared() - tell how many VMs write to the console. */
void vm_console_shared(unsigned vms);
/** vm_console_poll() - tell a VM's UART that something may have been typed. */
void vm_console_poll(struct vm *vm);

#endif
