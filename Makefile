# SPDX-License-Identifier: BSD-3-Clause
#
# Casita's commands. `make help` lists them; README.md introduces them.

O := $(CURDIR)/build
#{ staff
# A build of fewer floors, or of fewer solutions, has a folder of its own.
O := $(CURDIR)/build$(if $(STAGE)$(SOLVED),/stage-$(STAGE)$(if $(SOLVED),-solved-$(SOLVED)))
#}
PYTHON := /usr/bin/python3

# What may be said to `make run` and `make grade`, and reaches the grader in the environment, as CASITA_RUN and so
# on. $(value) and a simple variable keep every $, quote and blank as it was typed, and nothing goes
# to a sub-make by itself, where it would be expanded.
RUN_VARIABLES := RUN GUEST KERNEL INITRD APPEND MEM CPU ENGINE PAGING ACCEL BOCHS_CPU EXITS DISK \
		 TIMEOUT LAB PATCH TREE SEED TEST GDB OUT JOBS NO_SANDBOX BUNDLE
#{ staff
RUN_VARIABLES += SINCE STAFF
#}
define pass_on
CASITA_$(1) := $$(value $(1))
export CASITA_$(1)
unexport $(1)
endef
$(foreach v,$(RUN_VARIABLES),$(eval $(call pass_on,$(v))))
export CASITA_BUILD := $(O)
MAKEOVERRIDES :=

# What each sub-make is told. One build at a time, so that two commands may run side by side.
CHOICES := O=$(O) $(if $(filter-out default,$(origin CC)),CC=$(CC))
#{ staff
CHOICES += $(if $(STAGE),STAGE=$(STAGE)) $(if $(SOLVED),SOLVED=$(SOLVED))
#}
BUILD_IN = @mkdir -p $(O) && flock $(O)/.lock $(MAKE) -s --no-print-directory $(CHOICES) -C

all: casita guests

casita:
	$(BUILD_IN) src

guests: casita
	$(BUILD_IN) guests
ifneq ($(wildcard guests/linux),)
	$(BUILD_IN) guests/linux
endif

run: export CASITA_GDB :=
gdb: export CASITA_GDB := 1
gdb: setup-gdb
run gdb: setup-run
	@$(MAKE) -s --no-print-directory $(CHOICES) all
	@$(PYTHON) grader/run.py

#{ staff
check: setup-check
	@$(PYTHON) tests/check.py $(PART)

bench: setup-check
	@$(PYTHON) tests/bench.py $(BENCH)

check-slurm: setup-slurm
	@$(PYTHON) tests/slurm.py

handout: setup-handout
	@$(PYTHON) grader/staff/handout.py

#}
grade: setup-grade
#{ staff
	$(BUILD_IN) src $(O)/bootdisk.bin
#}
	@$(PYTHON) grader/grade make

defconfig menuconfig: setup-run
	$(BUILD_IN) src $@

setup:
	@grader/setup.sh all

setup-grade:
	@grader/setup.sh grade
#{ staff
	@grader/setup.sh bochs
#}

setup-gdb:
	@grader/setup.sh gdb

setup-run:
	@grader/setup.sh run $(if $(filter bochs,$(value ENGINE)),bochs)

#{ staff
setup-check:
	@grader/setup.sh check

setup-handout:
	@grader/setup.sh handout

setup-slurm:
	@grader/setup.sh check slurm

#}
doctor:
	@test -x $(PYTHON) || { echo "python3 is missing: run make setup"; exit 1; }
	@$(PYTHON) grader/doctor.py

docs:
	@grader/setup.sh docs
	@mkdir -p $(O)/docs
	@cd src && O=$(O) doxygen Doxyfile
	@echo "$(O)/docs/html/index.html"

clean:
	@rm -rf $(O)

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make                 build Casita and its guests (CC=clang: with clang)
#{ staff
#: make STAGE=n         build only the first n floors; SOLVED=m: with the solutions of labs up to m
#: make check-slurm     a class on a Slurm cluster of this machine's own, whose node dies and comes back
#: make handout LAB=n OUT=dir   a student's tree; SINCE=k: only what is new since lab k; STAFF=1: all
#}
#: make run             boot Debian's kernel and a busybox userland in a VM in Casita; Ctrl-A x leaves
#: make run RUN='…'     run these commands in it; the last line is "guest exit status N"
#{ staff
#: make check           every test; PART=unit and the like: only that part
#: make bench           figures side by side: bare, nested, shadow; BENCH=growth and the like: only those
#}
#: make grade LAB=n      grade this tree; PATCH=file, TREE=dir: that; TEST=name: only that test
#: make gdb             like make run, but wait for GDB; there, `casita help` lists our commands
#: make setup           install the Debian packages that are missing
#: make doctor          what is there, and which accelerator make run uses
#: make menuconfig      compose a VMM by hand; make defconfig: everything in it again
#: make docs            API pages, from the comments in src/
#: make clean           remove build/
#:
#: Variables for run and gdb:
#:   GUEST=name|file      a guest of guests/, or any Multiboot ELF file, instead of Linux; none: no VM
#:   KERNEL= INITRD=      a Linux kernel and initramfs of your own
#:   APPEND='words'       more words for the guest's kernel command line
#:   MEM=256M             the guest's memory
#:   CPU=amd|intel        whose virtualization to use
#:   ENGINE=qemu|bochs    the machine beneath; BOCHS_CPU=model: a CPU model of Bochs
#:   PAGING=nested|shadow|none  how to virtualize memory
#:   EXITS=1              print the VM's exits when it stops
#:   ACCEL=tcg|kvm        QEMU's accelerator
#:   TIMEOUT=seconds      give up after so long
#:
#: Variables for grade: SEED=n JOBS=n OUT=result.json BUNDLE=all-of-it.tar, and GDB=1 with TEST=name: wait
#:   for GDB; NO_SANDBOX=1: where no sandbox is to be had

.PHONY: all casita guests run gdb setup-gdb grade setup-grade check defconfig menuconfig setup setup-run setup-check doctor docs \
	clean help
#{ staff
.PHONY: bench check-slurm setup-slurm handout setup-handout
#}
