// SPDX-License-Identifier: GPL-2.0
/*
 * What is tried before a request is refused because of the heap's limit: the
 * heap gives back what it does not need, then the client is asked.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "main.h"

/**
 * struct limit_call - a call of a heap's on_limit that is under way
 * @list: in the heap's list; under heap->limit.lock
 * @task: who called it, or was interrupted by whoever did
 */
struct limit_call {
	struct list_head list;
	const struct task_struct *task;
};

/* Enter @call, unless this is an allocation that on_limit itself makes. */
static bool limit_call_begin(struct kheap *heap, struct limit_call *call)
{
	struct limit_call *other;
	bool nested = false;
	unsigned long flags;

	call->task = current;
	raw_spin_lock_irqsave(&heap->limit.lock, flags);
	list_for_each_entry(other, &heap->limit.calls, list)
		nested |= other->task == current;
	if (!nested)
		list_add(&call->list, &heap->limit.calls);
	raw_spin_unlock_irqrestore(&heap->limit.lock, flags);
	return !nested;
}

static void limit_call_end(struct kheap *heap, struct limit_call *call)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->limit.lock, flags);
	list_del(&call->list);
	raw_spin_unlock_irqrestore(&heap->limit.lock, flags);
}

static bool ask_client(struct kheap *heap, size_t bytes, gfp_t gfp)
{
	struct limit_call call;
	bool freed;

	if (!heap->limit.on_limit || !limit_call_begin(heap, &call))
		return false;
	freed = heap->limit.on_limit(heap->limit.ctx, bytes, gfp);
	limit_call_end(heap, &call);
	return freed;
}

/*
 * What the heap has in magazines, or empty for blocks of another span. Blocks
 * that go home may be all that is wanted, so pages are not what it is judged by.
 * Return whether it was done.
 */
static bool give_back_own(struct kheap *heap, gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp) || !mutex_trylock(&heap->base.mutex))
		return false;
	kheap_give_back_all(heap);
	mutex_unlock(&heap->base.mutex);
	return true;
}

/**
 * relieve() - make room below a heap's limit for a request that failed
 * @heap: the heap
 * @bytes: how much was asked of the system
 * @gfp: the request's flags
 * @step: 0 at the first call; what was tried is not tried again
 *
 * Context: As the request's, no kheap lock held.
 * Return: true if the request is to be made again.
 */
static bool relieve(struct kheap *heap, size_t bytes, gfp_t gfp,
		    unsigned int *step)
{
	if (unlikely(in_nmi()))
		return false;
	if (!*step && kheap_at_limit(heap, bytes)) {
		*step = 1;
		if (give_back_own(heap, gfp))
			return true;
	}
	if (*step == 1 && kheap_at_limit(heap, bytes)) {
		*step = 2;
		if (!ask_client(heap, bytes, gfp))
			return false;
		give_back_own(heap, gfp);
		return true;
	}
	return false;
}

static const struct kheap_reliever reliever = {
	.relieve = relieve,
};

void __init kheap_limit_init(void)
{
	kheap_reliever = &reliever;
}
