/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the recorder in a program have in common: kheap_record.c is
 * in front of malloc(), kheap_exec.c in front of exec(), kheap_append.c writes
 * down what they see. None of them takes a lock, and once the program runs none
 * makes a system call of its own, except beside an exec().
 */
#ifndef _KHEAP_APPEND_H
#define _KHEAP_APPEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EXPORT		__attribute__((visibility("default")))
#define PATH_MOST	4096

/* Before there is a second thread. @own_malloc: it does not call this library. */
void append_start(bool own_malloc);

/*
 * Writes down one event; its place in the recording, or 0 if there is none.
 * Any context, signal handlers and children of any kind of fork included. Never
 * sleeps; errno stays.
 */
uint64_t append(uint8_t op, uint8_t flags, const void *addr, uint64_t size);
uint64_t append_text(uint8_t op, uint8_t flags, const char text[24]);

/* The pid of the process that is recorded here, or 0 if none is. */
pid_t append_pid(void);

/* Whether what this process starts is to be recorded. */
bool append_children(void);

/* From here on no clock that the kernel may have taken away. */
void append_coarse_clock(void);

/* The functions that kheap_exec.c stands in front of, and the variables. */
void exec_start(void);

#endif /* _KHEAP_APPEND_H */
