/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module's files offer each other, file by file; each function is
 * described where it is defined. Included by internal.h.
 */
#ifndef _KHEAP_FUNCTIONS_H
#define _KHEAP_FUNCTIONS_H

extern struct mutex kheap_list_lock;
extern raw_spinlock_t kheap_list_raw;
extern struct list_head kheap_list;
extern struct kheap_class kheap_cold_class;
DECLARE_PER_CPU(struct kheap_cpu_cache, kheap_cold_cache);
extern bool kheap_leak_tracking;
DECLARE_STATIC_KEY_FALSE(kheap_numa_key);
DECLARE_STATIC_KEY_FALSE(kheap_careful_key);

/* main.c */
bool kheap_mm_allowed(void);

/* heap.c */
void kheap_note_peak(struct kheap *heap);
bool kheap_charge(struct kheap *heap, size_t bytes);
bool kheap_at_limit(const struct kheap *heap, size_t bytes);
void kheap_charge_more(struct kheap *heap, size_t bytes);
void kheap_uncharge(struct kheap *heap, size_t bytes);
bool kheap_meta_charge(struct kheap *heap, size_t bytes);
void kheap_meta_uncharge(struct kheap *heap, size_t bytes);
void *kheap_meta_alloc(struct kheap *heap, size_t size, gfp_t gfp, int node);
void kheap_meta_free(struct kheap *heap, const void *ptr);
void __percpu *kheap_meta_alloc_percpu(struct kheap *heap, size_t size,
				       size_t align);
void kheap_meta_free_percpu(struct kheap *heap, void __percpu *ptr,
			    size_t size);
bool kheap_name_valid(const char *name);
struct kheap *kheap_create_for(const char *name,
			       const struct kheap_params *params,
			       unsigned long caller);
void kheap_finish_deferred(struct kheap *heap);
void kheap_maint_now(struct kheap *heap);
void kheap_maint_later(struct kheap *heap);

/* pages.c */
struct page *kheap_pages_alloc(struct kheap *heap, gfp_t gfp,
			       unsigned int order, int node);
void kheap_pages_free(struct kheap *heap, struct page *page,
		      unsigned int order);
void kheap_pages_free_split(struct kheap *heap, struct page *page,
			    unsigned int order);
gfp_t kheap_page_gfp(struct kheap *heap, gfp_t gfp);
void kheap_pool_mark_pages(struct kheap_pool *pool, struct page *page,
			   unsigned int span);
void kheap_pool_unmark_pages(struct page *page, unsigned int span);
void kheap_pool_set_tag(struct kheap_pool *pool, unsigned int span,
			unsigned long tag);
struct page *kheap_arena_pages(struct kheap *heap, unsigned int span,
			       gfp_t gfp, int node, unsigned int *orderp);

/* chunk.c */
struct kheap_pool *kheap_chunk_alloc(struct kheap_arena_set *set,
				     unsigned int nr_pools, gfp_t gfp);
void kheap_chunks_free(struct kheap *heap, struct list_head *chunks);
bool kheap_arena_alloc_chunks(struct kheap_arena *arena, gfp_t gfp);
void kheap_arena_free_chunks(struct kheap_arena *arena);
void kheap_arena_shed_chunks(struct kheap_arena *arena,
			     struct list_head *chunks);
void kheap_arena_regain_chunk(struct kheap_arena *arena,
			      struct kheap_pool *pools);
struct kheap_pool *kheap_arena_first_hole(const struct kheap_arena *arena);

/* arena.c */
int kheap_arena_set_create(struct kheap *heap, unsigned int span, int node,
			   gfp_t gfp);
struct kheap_pool *kheap_pool_get(struct kheap_class *class, gfp_t gfp,
				  int node);
void kheap_pools_put(struct kheap *heap, struct list_head *pools);
struct kheap_arena *kheap_arena_next(struct kheap_arena_set *set,
				     struct kheap_arena *arena);
void kheap_arenas_trim(struct kheap *heap);
bool kheap_arenas_trim_idle(struct kheap *heap);
void kheap_arenas_release_deferred(struct kheap *heap);
void kheap_arenas_destroy(struct kheap *heap);

/* pool.c */
bool kheap_pool_setup(struct kheap_pool *pool, struct kheap_class *class,
		      gfp_t gfp);
void *kheap_pool_detach_map(struct kheap_pool *pool);
unsigned int kheap_pool_join(struct kheap_pool *pool, void **slots,
			     unsigned int nr, void **bad);
unsigned int kheap_pools_take(struct kheap_class *class, int node,
			      void **slots, unsigned int nr, void **bad);
void kheap_pools_give(struct kheap_class *class, void **slots,
		      unsigned int nr, struct list_head *empties);
unsigned int kheap_link_next(struct kheap_pool *pool, unsigned int idx);
bool kheap_pool_claim_unlisted(struct kheap_pool *pool, unsigned int idx);
void kheap_pool_quarantine(struct kheap_pool *pool);
void kheap_pool_block_stray(struct kheap_class *class, void *block, bool lost);
void kheap_pool_set_parking(struct kheap_pool *pool, bool on);
bool kheap_pool_give_parked(struct kheap_pool *pool, unsigned int first,
			    unsigned long bits, struct kheap_unparked *done,
			    struct list_head *empties);

/* class.c */
int kheap_class_init(struct kheap_class *class, struct kheap *heap,
		     const char *name, size_t size, size_t align,
		     void (*ctor)(void *object));
unsigned long kheap_new_tag(void);
void kheap_class_publish(struct kheap_class *class);
void kheap_class_exit(struct kheap_class *class);
void kheap_class_purge(struct kheap_class *class);
void kheap_class_report_live(struct kheap_class *class);
void kheap_class_free(struct kheap_class *class);
void kheap_forget_blocks(struct kheap *heap);
void kheap_alloc_failed(struct kheap *heap, const struct kheap_class *class,
			size_t bytes, gfp_t gfp);
size_t kheap_szidx_size(unsigned int szidx);
struct kheap_class *kheap_class_find(struct kheap *heap, const char *name);
size_t kheap_size_class_bytes(void);
struct kheap_class *kheap_size_class(struct kheap *heap, unsigned int szidx,
				     gfp_t gfp);
void *kheap_class_alloc_slow(struct kheap_class *class, gfp_t gfp, int nid);
bool kheap_block_claim(struct kheap_class *class, struct kheap_pool *pool,
		       const void *ptr);
void kheap_class_free_to_pool(struct kheap_class *class, void *block);
void kheap_class_free_slow(struct kheap_class *class, void *block, bool alien);
void *kheap_class_alloc_missed(struct kheap_class *class, size_t size,
			       gfp_t gfp, int nid, unsigned long caller);
void kheap_class_free_careful(struct kheap_class *class, void *block);
void kheap_push_missed(struct kheap_class *class, void *block);
void kheap_push_full(struct kheap_class *class, void *block,
		     struct kheap_cpu_cache __percpu *cpu);

/* alloc.c */
struct kheap_class *kheap_size_class_or_fail(struct kheap *heap, size_t size,
					     gfp_t gfp);

/* bulk.c */
void kheap_class_free_bulk(struct kheap_class *class, size_t nr, void **ptrs);

/* cpu_cache.c */
void kheap_cpu_cache_settle(struct kheap_class *class,
			    struct kheap_cpu_cache *cache);
void kheap_cpu_caches_setup(struct kheap_class *class, gfp_t gfp);
void kheap_cpu_caches_exit(struct kheap_class *class);
void kheap_cpu_cache_grow(struct kheap_class *class,
			  struct kheap_cpu_cache __percpu *caches);
bool kheap_cpu_cache_fill(struct kheap_class *class,
			  struct kheap_cpu_cache *cache, void **bad);
bool kheap_cpu_cache_make_room(struct kheap_class *class,
			       struct kheap_cpu_cache *cache,
			       struct list_head *empties);
void *kheap_cpu_cache_refill(struct kheap_class *class);
void *kheap_cpu_cache_join(struct kheap_class *class, struct kheap_pool *pool);
bool kheap_cpu_cache_push(struct kheap_class *class, bool alien, void *block);
bool kheap_class_drain(struct kheap_class *class, bool only_idle);
void kheap_class_drain_cpu(struct kheap_class *class, unsigned int cpu);
unsigned long kheap_class_nr_cached(struct kheap_class *class);

/* depot.c */
void kheap_magazine_put(struct kheap_stack *stack, struct kheap_magazine *mag);
struct kheap_magazine *kheap_magazine_get(struct kheap_stack *stack);
bool kheap_depot_take(struct kheap_class *class, struct kheap_cpu_cache *cache);
void kheap_depot_give(struct kheap_class *class, struct kheap_cpu_cache *cache);
bool kheap_depot_has_empty(const struct kheap_class *class);
void kheap_magazines_drop(struct kheap_class *class, struct kheap_stack *stack);
void kheap_depots_drop(struct kheap_class *class);
bool kheap_depots_drain(struct kheap_class *class, bool only_idle);

/* trace.c */
void kheap_trace_class_end(const struct kheap_class *class);
void kheap_trace_heap_end(struct kheap *heap);

/* watch.c */
void kheap_watch_start(struct kheap *heap, enum kheap_watch why);
void kheap_watch_stop(struct kheap *heap, enum kheap_watch why);
void kheap_watch_all(bool on);
void kheap_watch_new(struct kheap *heap);
void kheap_watch_end(struct kheap *heap);
void kheap_class_choose_cpu(struct kheap_class *class);
unsigned long kheap_client_ip(unsigned long ip);
void *kheap_watched_alloc(struct kheap_class *class, size_t size, gfp_t gfp,
			  int nid, unsigned long caller);
void kheap_watched_free(struct kheap_class *class, void *block,
			unsigned long caller);
void kheap_watched_large_alloc(struct kheap *heap, struct kheap_large *large,
			       size_t size, gfp_t gfp, unsigned long caller);
void kheap_watched_large_free(struct kheap *heap, struct kheap_large *large,
			      unsigned long caller);

/* large.c */
void *kheap_large_alloc(struct kheap *heap, size_t size, gfp_t gfp, int node,
			unsigned long caller);
bool kheap_large_free(struct kheap *heap, const void *ptr,
		      unsigned long caller);
size_t kheap_large_size(struct kheap *heap, const void *ptr);
void kheap_large_resized(struct kheap *heap, void *ptr, size_t size);
enum kheap_refusal kheap_large_diagnose(struct kheap *heap, const void *ptr,
					char *owner);
bool kheap_large_park(struct kheap *heap, const void *ptr);
void kheap_large_free_parked(struct kheap *heap, struct llist_node *list);
void kheap_large_free_deferred(struct kheap *heap);
void kheap_large_destroy(struct kheap *heap);
int kheap_large_check(struct kheap *heap);

/* cache.c */
void kheap_class_free_unusual(struct kheap_class *class, const void *ptr);
void kheap_cache_shrink(struct kheap_class *class);

/* slab_compat.c */
int kheap_slab_init(void);
void kheap_slab_exit(void);

/* rcu.c */
void kheap_rcu_init(struct kheap *heap);
extern unsigned int kheap_rcu_room;
bool kheap_rcu_sweep(struct kheap *heap);
void kheap_rcu_flush(struct kheap *heap);
bool kheap_rcu_park(struct kheap_class *class, const void *ptr);
bool kheap_class_free_rcu(struct kheap_class *class, const void *ptr);
void kheap_rcu_park_marked(struct kheap_class *class, void *block);
void kheap_rcu_arm(struct kheap *heap);
void kheap_rcu_exit(struct kheap *heap);

/* pressure.c */
int kheap_pressure_init(void);
void kheap_pressure_exit(void);
unsigned long kheap_pressure_count(void);
unsigned long kheap_pressure_scan(unsigned long nr);
void kheap_give_back_all(struct kheap *heap);

/* limit.c */
bool kheap_relieve(struct kheap *heap, size_t bytes, gfp_t gfp,
		   unsigned int *step);

/* inject.c */
bool kheap_inject_fails(struct kheap *heap, size_t size, gfp_t gfp);
void kheap_inject_start(struct kheap *heap,
			const struct kheap_inject_rule *rule);
void kheap_inject_stop(struct kheap *heap);
void kheap_inject_init(struct kheap *heap);
extern const struct file_operations kheap_inject_fops;

/* debug.c */
#define KHEAP_DEBUG_FIXED	1	/* there is a class */

size_t kheap_debug_geometry(struct kheap_class *class, size_t align);
void kheap_debug_pool_setup(struct kheap_class *class, struct kheap_pool *pool);
void kheap_debug_note(const struct kheap_class *class,
		      const struct kheap_pool *pool, const void *ptr,
		      struct kheap_debug_note *note);
void kheap_debug_print(const struct kheap_debug_note *note);
bool kheap_debug_rejects(struct kheap_class *class, void *block);
void kheap_debug_alloc(struct kheap_class *class, void *block, size_t size,
		       gfp_t gfp, unsigned long caller);
void kheap_debug_park(struct kheap_class *class, void *block);
void kheap_debug_free(struct kheap_class *class, void *block,
		      unsigned long caller);
size_t kheap_debug_usable(const struct kheap_class *class, const void *block);
void kheap_debug_resized(struct kheap *heap, void *ptr, size_t size);
size_t kheap_debug_large_guard(const struct kheap *heap);
void kheap_debug_large_alloc(struct kheap *heap, struct kheap_large *large,
			     size_t size, gfp_t gfp, unsigned long caller);
void kheap_debug_large_free(struct kheap *heap, struct kheap_large *large,
			    unsigned long caller);
void kheap_debug_large_resized(struct kheap *heap, struct kheap_large *large);
unsigned int kheap_debug_fix(struct kheap *heap);
int kheap_debug_set(struct kheap *heap, unsigned int flags);
void kheap_debug_init(struct kheap *heap);
bool kheap_debug_valid(void);
extern const struct file_operations kheap_debug_fops;

/* check.c */
void kheap_check_pool(struct kheap_pool *pool);

/* kasan.c */
#ifdef CONFIG_KASAN_GENERIC
int kheap_kasan_init(void);
void kheap_kasan_exit(void);
#else
static inline int kheap_kasan_init(void)
{
	return 0;
}

static inline void kheap_kasan_exit(void)
{
}
#endif

/* report.c */
bool kheap_refuse(struct kheap *heap, enum kheap_refusal why, const void *ptr,
		  const struct kheap_class *class);
void kheap_refuse_stray(const void *ptr, enum kheap_refusal why);
void kheap_refuse_link(const struct kheap_class *class, const void *bad);
void kheap_refuse_free(struct kheap *heap, const void *ptr);
void kheap_class_refuse_free(struct kheap_class *class, const void *ptr);
const char *kheap_refusal_name(enum kheap_refusal why);
extern struct ratelimit_state kheap_refusal_limit;

/* stats.c */
void kheap_class_get_stats(struct kheap_class *class,
			   struct kheap_class_stats *stats);

/* debugfs.c */
void kheap_debugfs_init(void);
void kheap_debugfs_exit(void);
void kheap_debugfs_add(struct kheap *heap);
void kheap_debugfs_del(struct kheap *heap);

/* debugfs_objects.c */
void kheap_debugfs_add_objects(struct kheap *heap);

#endif /* _KHEAP_FUNCTIONS_H */
