/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What CPUs that order little have to be told: the three shapes that every
 * lockless pair of kheap has, see "Order between CPUs" in ../design.rst.
 *
 * README.rst beside this file says what is shown and how the steps map to the
 * code; scripts/model.sh runs it.
 *
 * One step is an access to memory, which all CPUs see at once, as arm64 and s390
 * have it. A CPU does its accesses in any order that nothing forbids: an address
 * that comes of a load, a barrier, an acquire or a release, an atomic that
 * returns a value. That is how a speculated load and a store that waits in a
 * buffer look to others.
 *
 * ---- which shape -----------------------------------------------------------------
 * (none)	MESSAGE	what is written is found by whoever finds the word of it
 * FLAGS	of two who set theirs and look at the other's, one sees it
 * PUT		the last put of an object without callbacks, beside a run
 *
 * ---- broken on purpose -------------------------------------------------------------
 * NO_RELEASE	the word may be seen before what it tells of
 * NO_ACQUIRE	what it tells of may be read before the word
 * NO_BARRIER	each may look before its own flag is seen
 * NO_PUT_ACQUIRE	whether a run is under way may be read before the count
 * NO_RUN_BARRIER	a run may read fields before it says that it is under way
 */

/* Two steps, in any order. */
#define ANY(a, b)	if :: a; b :: b; a fi
/* And in this one. */
#define IN_ORDER(a, b)	a; b

#ifdef NO_RELEASE
#define RELEASED	ANY
#else
#define RELEASED	IN_ORDER
#endif
#ifdef NO_ACQUIRE
#define ACQUIRED	ANY
#else
#define ACQUIRED	IN_ORDER
#endif
#ifdef NO_BARRIER
#define FULL		ANY
#else
#define FULL		IN_ORDER
#endif
#ifdef NO_PUT_ACQUIRE
#define AFTER_COUNT	ANY
#else
#define AFTER_COUNT	IN_ORDER
#endif
#ifdef NO_RUN_BARRIER
#define AFTER_FLAG	ANY
#else
#define AFTER_FLAG	IN_ORDER
#endif

#if defined(PUT)

bit running;		/* gc->running */
bit field = 1;		/* refers to the object */
byte count = 2;		/* one of them is the field's */
bit freed;

/* It looks at the head of what it finds, at any time until it ends. */
active proctype collector()
{
	bit found;

	AFTER_FLAG(running = 1, found = field);
	do
	:: found -> assert(!freed)
	:: break
	od;
	running = 0
}

/* kheap_object_put(); @took: its reference was the field's. */
proctype put(bit took)
{
	byte word;
	bit seen;
	bit done;

	if
	:: took -> field = 0		/* kheap_ref_take() */
	:: else
	fi;
	do
	:: done -> break
	:: else ->
		AFTER_COUNT(word = count, seen = running);
		if
		:: word == 1 ->
			count = 0;
			if
			:: !seen -> freed = 1
			:: seen		/* parked */
			fi;
			done = 1
		:: else ->
			atomic {	/* atomic64_try_cmpxchg() */
				if
				:: count == word -> count--; done = 1
				:: else
				fi
			}
		fi
	od
}

init {
	atomic {
		run put(0);
		run put(1)
	}
}

#elif defined(FLAGS)

bit flag[2];
bit sees[2];
byte nr_done;

active [2] proctype cpu()
{
	FULL(flag[_pid] = 1, sees[_pid] = flag[1 - _pid]);
	atomic {
		nr_done++;
		assert(nr_done < 2 || sees[0] || sees[1])
	}
}

#else

bit data;
bit word;

active proctype writer()
{
	RELEASED(data = 1, word = 1)
}

active proctype reader()
{
	bit told, read;

	ACQUIRED(told = word, read = data);
	assert(!told || read)
}

#endif
