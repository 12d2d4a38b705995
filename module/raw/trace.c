// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of this layer themselves. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "raw/raw.h"

#define CREATE_TRACE_POINTS
#include "raw/trace.h"
