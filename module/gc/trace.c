// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of this layer themselves. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "gc/gc.h"

#define CREATE_TRACE_POINTS
#include "gc/trace.h"
