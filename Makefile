# SPDX-License-Identifier: GPL-2.0
# For people. The modules themselves are described in Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNEL ?= 6.12
# A kernel's name, for another architecture than this machine's: 6.12-arm64
GROUP = $(firstword $(subst -, ,$(ARCH)))
NAME = $(KERNEL)$(ARCH:%=-%)
OPS ?= 5000000
MAKEFLAGS += --no-print-directory

# As for the kernel itself: an output folder is named by who calls make.
ifneq ($(origin O),command line)
unexport O
endif

.PHONY: modules install uninstall install-dkms uninstall-dkms ext4-check \
	demo shell check reach kunit integration bench bench-native bench-record bpf-check model \
	coverage mutants races kmsan soak torture lint docs clean help

modules:	## build the modules for KDIR or O (default: the running kernel)
	@scripts/build.sh --kdir "$(KDIR)"

install:	## put modules, headers, tools and man pages below DESTDIR, PREFIX
	@KDIR="$(KDIR)" scripts/install/install.sh install

uninstall:	## remove what make install put there
	@KDIR="$(KDIR)" scripts/install/install.sh uninstall

install-dkms:	## put the source in /usr/src, for dkms to build
	@KDIR="$(KDIR)" scripts/install/install.sh install-dkms

uninstall-dkms:	## remove that
	@KDIR="$(KDIR)" scripts/install/install.sh uninstall-dkms

demo:	## replay a real program's allocations in a VM (ARCH=arm64), see every byte
	@scripts/demo.sh "$(NAME)"

shell:	## a prompt in a VM (KERNEL=6.12 ARCH=arm64) with the module inserted
	@scripts/setup.sh vm build $(GROUP)
	@scripts/shell.sh "$(NAME)"

check:	## every test on every kernel; builds the test kernel once
	@scripts/check.sh

reach:	## other kernels and machines (TARGET=arm64 arm64-16k arm64-64k s390x newest)
	@scripts/check.sh --reach $(TARGET)

kunit:	## the KUnit suites (SUITE=name for one, with its slow cases)
	@scripts/setup.sh vm build kernel
	@scripts/kunit.py $(SUITE)

integration:	## the integration tests (TEST=name) on 6.12 and 6.1
	@scripts/setup.sh vm build programs drgn bpf
	@scripts/integration.py $(TEST)

torture:	## threads against the collector (KERNEL=test OPS=5000000)
	@scripts/setup.sh vm build kernel
	@scripts/torture.sh $(if $(filter file,$(origin KERNEL)),test,$(KERNEL)) \
		ops=$(OPS)

bench:	## what an operation (ONLY=name) costs, next to the kernel's own
	@scripts/setup.sh vm build
	@scripts/bench.py $(ONLY:%=--only %)

bench-native:	## ticks an operation takes (ONLY=name) on these CPUs, Linux 7.2
	@scripts/setup.sh native
	@scripts/bench_native.py $(ONLY:%=--only %)

bench-record:	## bench, and keep its ratios for make check to guard
	@scripts/setup.sh vm build
	@scripts/bench.py --record

bpf-check:	## the bpftrace scripts, on a workload of known numbers
	@scripts/setup.sh vm build bpf
	@scripts/bpftrace/check

model:	## search the models of collector, names and marks
	@scripts/setup.sh model
	@scripts/model.sh

coverage:	## which lines and branches the tests run, as HTML pages
	@scripts/setup.sh vm build kernel cover
	@scripts/coverage.py

mutants:	## put small faults in (ONLY=word), see a test go red for each
	@scripts/setup.sh vm build kernel
	@scripts/mutants.py $(ONLY)

races:	## everything at once, on every kernel that finds races
	@scripts/setup.sh vm build kernel
	@scripts/integration.py --kernel test --kernel kcsan \
		--kernel 6.12-rt --kernel 6.1-rt storm

kmsan:	## uses of what nobody wrote, by a bad client and in a suite
	@scripts/setup.sh vm build kernel kmsan
	@scripts/integration.py --kernel kmsan sanitizers
	@scripts/kunit.py --kernel kmsan $(or $(SUITE),kmsan)

soak:	## random tests with new seeds for MINUTES (60)
	@scripts/setup.sh vm build kernel
	@scripts/soak.sh $(MINUTES)

ext4-check:	## ext4 on kheap, used hard, and beside it on SLUB
	@scripts/setup.sh vm build ext4
	@scripts/ext4/check.sh

lint:	## W=1, sparse, checkpatch, kernel-doc, shellcheck, codespell
	@scripts/setup.sh build kernel lint
	@scripts/lint.sh

docs:	## build/docs/html: the texts, and the reference of the headers
	@scripts/setup.sh kernel docs
	@scripts/docs.sh

clean:	## remove build/ (the cache of kernels stays)
	@rm -rf -- "$${KHEAP_BUILD:-build}"

help:	## this list
	@echo "Targets (cache: $${XDG_CACHE_HOME:-~/.cache}/kheap):"
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*\t*## \(.*\)/  \1\t\2/p' Makefile | \
		expand -t 16
