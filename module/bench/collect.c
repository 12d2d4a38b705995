// SPDX-License-Identifier: GPL-2.0
/*
 * The collector of cycles: what a run costs for each object that is alive, and
 * for each that is dead; what a run from candidates costs beside many live
 * objects; and how long it holds any lock that somebody could wait for.
 */
#include <linux/err.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <kheap/object.h>

#include "bench.h"

#define SEED		20000101
#define NR_LIVE		1000000U
#define NR_FEW		10000U
#define NR_DEAD		50000U
#define NR_RING		10U
#define NR_A_RESCHED	1024

struct vertex {
	struct kheap_object obj;
	struct kheap_object *edges[2];
};

/**
 * struct scene - a heap whose collector is looked at
 * @heap: the heap
 * @type: of its objects
 * @root: the reference that keeps the live ones
 * @nr_live: how many they are
 */
struct scene {
	struct kheap *heap;
	struct kheap_type *type;
	struct kheap_object *root;
	unsigned int nr_live;
};

static struct scene many_scene, full_scene, few_scene, dead_scene;

static struct vertex *to_vertex(struct kheap_object *obj)
{
	return container_of(obj, struct vertex, obj);
}

static void vertex_traverse(struct kheap_object *obj,
			    struct kheap_visitor *visitor)
{
	kheap_visit(visitor, READ_ONCE(to_vertex(obj)->edges[0]));
	kheap_visit(visitor, READ_ONCE(to_vertex(obj)->edges[1]));
}

static void vertex_clear(struct kheap_object *obj)
{
	kheap_ref_set(&to_vertex(obj)->edges[0], NULL);
	kheap_ref_set(&to_vertex(obj)->edges[1], NULL);
}

static const struct kheap_type_ops vertex_ops = {
	.name = "vertex",
	.size = sizeof(struct vertex),
	.traverse = vertex_traverse,
	.clear = vertex_clear,
};

/* --- Graphs ------------------------------------------------------------- */

static unsigned int make_vertices(struct kheap_type *type,
				  struct kheap_object **objs, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		objs[i] = kheap_object_new(type, GFP_KERNEL);
		if (!objs[i])
			break;
		if (i % NR_A_RESCHED == 0)
			cond_resched();
	}
	return i;
}

/* Each refers to the next one and to any one. */
static void link_vertices(struct kheap_object **objs, unsigned int nr)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, SEED);
	for (i = 0; i < nr; i++) {
		struct vertex *vertex = to_vertex(objs[i]);

		kheap_ref_set(&vertex->edges[0], objs[(i + 1) % nr]);
		kheap_ref_set(&vertex->edges[1],
			      objs[prandom_u32_state(&rnd) % nr]);
		if (i % NR_A_RESCHED == 0)
			cond_resched();
	}
}

/* One cycle of @nr objects. Return the only reference to it, or NULL. */
static struct kheap_object *make_cycle(struct kheap_type *type, unsigned int nr)
{
	struct kheap_object **objs = vmalloc(array_size(nr, sizeof(*objs)));
	struct kheap_object *root = NULL;
	unsigned int i, nr_made;

	if (!objs)
		return NULL;
	nr_made = make_vertices(type, objs, nr);
	if (nr_made == nr) {
		link_vertices(objs, nr);
		root = kheap_object_get(objs[0]);
	}
	for (i = 0; i < nr_made; i++)
		kheap_object_put(objs[i]);
	vfree(objs);
	return root;
}

/* --- Scenes ------------------------------------------------------------- */

static void *scene_begin(struct scene *scene, const char *name,
			 unsigned int nr_live)
{
	scene->nr_live = nr_live;
	scene->heap = kheap_create(name, NULL);
	if (IS_ERR(scene->heap))
		return scene->heap;
	kheap_gc_enable(scene->heap, false);
	scene->type = kheap_type_create(scene->heap, &vertex_ops);
	if (!IS_ERR(scene->type)) {
		scene->root = make_cycle(scene->type, nr_live);
		/* Nobody is a candidate after that. */
		if (scene->root &&
		    !kheap_gc_collect(scene->heap, KHEAP_GC_FULL))
			return scene;
	}
	kheap_destroy(scene->heap);
	return ERR_PTR(-ENOMEM);
}

/* All that was alive is garbage now, and reclaimed to the last one. */
static int scene_end(void *ctx)
{
	struct scene *scene = ctx;
	long nr;

	kheap_object_put(scene->root);
	nr = kheap_gc_collect(scene->heap, KHEAP_GC_FULL);
	kheap_trim(scene->heap);
	return bench_kheap_end(scene->heap) ?:
	       nr == scene->nr_live ? 0 : -EUCLEAN;
}

static void *many_begin(void)
{
	return scene_begin(&many_scene, "bench_many", NR_LIVE);
}

static void *few_begin(void)
{
	return scene_begin(&few_scene, "bench_few", NR_FEW);
}

/* Next to none, so that the run's work is for the dead ones. */
static void *dead_begin(void)
{
	return scene_begin(&dead_scene, "bench_dead", NR_RING);
}

static void *full_begin(void)
{
	return scene_begin(&full_scene, "bench_full", NR_LIVE);
}

static const struct bench_side many_side = {
	.name	= "kheap",
	.begin	= many_begin,
	.end	= scene_end,
};

static const struct bench_side few_side = {
	.name	= "live_10000",
	.begin	= few_begin,
	.end	= scene_end,
};

static const struct bench_side full_side = {
	.name	= "full_scan",
	.begin	= full_begin,
	.end	= scene_end,
};

static const struct bench_side dead_side = {
	.name	= "kheap",
	.begin	= dead_begin,
	.end	= scene_end,
};

/* --- Figures ------------------------------------------------------------ */

static void time_collect(struct bench_run *run, unsigned int flags,
			 unsigned long nr_dead, u64 nr_ops)
{
	struct scene *scene = run->ctx;
	long nr;

	bench_start_busy(run);
	nr = kheap_gc_collect(scene->heap, flags);
	bench_stop_busy(run, nr_ops);
	if (nr != nr_dead)
		run->error = nr < 0 ? nr : -EUCLEAN;
}

static void time_live(struct bench_run *run)
{
	struct scene *scene = run->ctx;

	time_collect(run, KHEAP_GC_FULL, 0, scene->nr_live);
}

/* A cycle of @nr objects that nobody refers to is in the heap, besides. */
static void time_dead(struct bench_run *run, unsigned int flags,
		      unsigned int nr, u64 nr_ops)
{
	struct scene *scene = run->ctx;
	struct kheap_object *obj = make_cycle(scene->type, nr);

	if (!obj) {
		run->error = -ENOMEM;
		return;
	}
	kheap_object_put(obj);
	bench_wait_for_tick();
	time_collect(run, flags, nr, nr_ops);
}

static void time_dead_cycle(struct bench_run *run)
{
	time_dead(run, KHEAP_GC_FULL, NR_DEAD, NR_DEAD);
}

static void time_candidates(struct bench_run *run)
{
	time_dead(run, 0, NR_RING, 1);
}

static void time_full_scan(struct bench_run *run)
{
	time_dead(run, KHEAP_GC_FULL, NR_RING, 1);
}

static void longest_wait(struct bench_run *run)
{
	struct scene *scene = run->ctx;
	struct kheap_gc_stats stats;

	time_live(run);
	kheap_gc_get_stats(scene->heap, &stats);
	run->ticks = stats.lock_max_ns;
	run->nr_ops = 1;
}

const struct bench_case bench_collect_cases[] = {
	{ "gc_live_object", &many_side, time_live, .slow = true },
	{ "gc_dead_object", &dead_side, time_dead_cycle, .slow = true },
	{ "gc_candidates", &many_side, time_candidates, .slow = true },
	{ "gc_candidates", &few_side, time_candidates, .slow = true },
	{ "gc_candidates", &full_side, time_full_scan, .slow = true },
	{ "gc_longest_wait", &many_side, longest_wait, .slow = true },
	{ }
};
