// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of this layer themselves. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "block/block.h"

#define CREATE_TRACE_POINTS
#include "block/trace.h"
