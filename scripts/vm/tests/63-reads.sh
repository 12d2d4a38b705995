#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernels: 6.12
# boot: --icount
#
# No file of debugfs holds a lock that an allocation could wait for longer than
# Documentation/debugfs.rst says: in instructions, by the kernel's own tracer.

. "$(dirname "$0")/../guest.sh"

step "every file, while a client allocates"
assert "$(dirname "$0")/../../bench/reads.py" --most 20000
