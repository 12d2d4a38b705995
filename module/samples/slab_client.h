/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KHEAP_SAMPLES_SLAB_CLIENT_H
#define _KHEAP_SAMPLES_SLAB_CLIENT_H

/* Bytes of a block that is passed from file to file; all of them are 7. */
#define SLAB_CLIENT_BLOCK	100

unsigned int slab_client_try_kmalloc(void);
void *slab_client_new_block(void);
unsigned int slab_client_try_resize(void);

int slab_client_make_ledgers(unsigned int nr);
unsigned long slab_client_nr_uncharged(void);
void slab_client_end_ledgers(void);

#endif /* _KHEAP_SAMPLES_SLAB_CLIENT_H */
