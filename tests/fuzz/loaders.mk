# SPDX-License-Identifier: BSD-3-Clause
#
# Fuzzers of the loaders and of the configuration, under ASan and UBSan.
#
#	make -f loaders.mk run		ROUNDS (default: the programs' own) from SEED (default 1)

TOP  = $(abspath ../..)
OUT ?= $(TOP)/build/tests
SEED ?= 1

CC     = gcc
CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -g -O1 -fsanitize=address,undefined \
	 -fno-sanitize-recover=all -DSTAGE=10 -DSOLVED=10 -DCONFIG_TIMER -DCONFIG_IRQ -DCONFIG_EMULATE -DCONFIG_WALK -DCONFIG_MMIO \
	 -I$(TOP)/src -I$(TOP)/tests/unit $(shell pkg-config --cflags check)
LIB    = $(addprefix $(TOP)/src/lib/,string.c print.c)
LOADERS = $(addprefix $(TOP)/tests/unit/,fake_cpu.c images.c loading.c) \
	  $(wildcard $(TOP)/src/loaders/*.c) $(TOP)/src/vmm/memory.c
HEADERS = $(wildcard $(TOP)/src/*/*.h $(TOP)/tests/unit/*.h)

all: $(OUT)/fuzz_loaders $(OUT)/fuzz_config

run: all
	$(OUT)/fuzz_loaders $(or $(ROUNDS),200000) $(SEED)
	$(OUT)/fuzz_config $(or $(ROUNDS),300000) $(SEED)

$(OUT)/fuzz_loaders: fuzz_loaders.c $(LOADERS) $(LIB) $(HEADERS) loaders.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(filter %.c,$^) $(shell pkg-config --libs check)

$(OUT)/fuzz_config: fuzz_config.c $(TOP)/src/vmm/config.c $(LIB) $(HEADERS) loaders.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(filter %.c,$^)

clean:
	rm -f $(OUT)/fuzz_loaders $(OUT)/fuzz_config

.PHONY: all run clean
