/* SPDX-License-Identifier: BSD-3-Clause */
/* console.h: the run loop's side of the VMs' consoles; devices use vm_console_*() of vm.h. */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "vmm/vm.h"

/** vm_console_shared() - tell how many VMs write to the console. */
void vm_console_shared(unsigned vms);
/** vm_console_focus() - what is typed goes to this VM from now on. */
void vm_console_focus(struct vm *vm);
/** vm_console_poll() - tell that VM's UART that something may have been typed. */
void vm_console_poll(void);
/** vm_console_end() - a VM has stopped: print its last, unfinished line. */
void vm_console_end(struct vm *vm);

#endif
