/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cycle collector: mark, verify, commit against mutators that never stop.
 *
 * What the model shows, its parameters, its sizes and times, and how its steps
 * map to the code are in README.rst beside this file; scripts/model.sh runs it.
 *
 * One atomic { } block is one access to shared memory (or several that another
 * CPU cannot tell from one; the comment then says why).  Every barrier of the
 * code shows here as the order of the blocks: the model is sequentially
 * consistent.
 */

/* ---- size ------------------------------------------------------------- */
#ifndef NOBJ
#define NOBJ	3	/* objects */
#endif
#ifndef NFLD
#define NFLD	1	/* reference fields of an object */
#endif
#ifndef NMUT
#define NMUT	2	/* mutators */
#endif
#ifndef NLOC
#define NLOC	2	/* counted references a mutator can hold: 2 or 3 */
#endif
#ifndef NOPS
#define NOPS	2	/* operations of a mutator */
#endif
#ifndef NOPS2
#define NOPS2	NOPS	/* operations of the second one */
#endif
#ifndef NRUNS
#define NRUNS	1	/* runs of the collector beside the mutators */
#endif
#ifndef WEAK
#define WEAK	0	/* objects that a weak reference points to, at most */
#endif
#ifndef RCU
#define RCU	0	/* objects that a table without references leads to */
#endif

/*
 * ---- what is searched ------------------------------------------------------
 * RING      start from one ring in which every mutator holds an object, not
 *           from every heap
 * ROOT      a global slot, which all mutators reach without a reference
 * BORROW    mutators also use slots two steps away, without a reference between
 * LOOP      S is every object and shrinks as in the code, instead of being any
 *           set; claims besides: garbage when a run starts is gone at its end
 * CAND      S is what the remembered candidates reach, and a run may give up;
 *           claims besides: nothing but candidates is needed to find it all
 * PIN       traverse holds a reference; claims besides: it never sees an object
 *           whose release has begun
 * FINAL     finalizers that may resurrect, and the second verification
 * VERDICT   the verdict is one compare-and-exchange, not a lock held for all S
 *
 * ---- broken on purpose -----------------------------------------------------
 * EDGES_FIRST      verification counts the edges before it reads the counts
 * MARK_LATE        the marks are set after the counts are read
 * GET_NO_MARK      increments leave the mark alone
 * LOOK_FIRST       increments look at the mark before they increment
 * GIVE_NO_MARK     a reference moves into a slot without a look at the mark
 * GIVE_LATE        that look comes after the store
 * DEAD_MEMBERS     objects whose count is 0 stay in S
 * UPGRADE_NO_MARK  weak upgrades leave the mark alone
 * LOOKUP_NO_LOCK   a lookup clears the mark like any increment, and that is all
 * NO_PIN           PIN: traverse without a reference; FINAL: finalize without
 * NO_REMARK        FINAL: the second verification sets no marks
 * VERDICT_STORE    VERDICT: the verdict is stored, not compared and exchanged
 * NO_RETRY         LOOP: a run ends where its verdict is refused
 * NO_REQUEUE       CAND: a run that gives up forgets its candidates
 * NO_GRACE         CAND: no grace period between taking candidates and counting
 * LATE_CONSUME     CAND: the flags are cleared after the run, not before it
 *
 * ---- not broken ------------------------------------------------------------
 * NO_RECOUNT       commit looks at the marks only: the counts are a second lock
 *                  on the same door
 */

#include "gc-heap.pml"
#include "gc-mutator.pml"

/* ---- the collector ---------------------------------------------------------- */
#if defined(LOOP) || defined(CAND)
#define ITERATE		true
#else
/* S was any set: a run with a member too many is one that another S stands for. */
#define ITERATE		(phase == 2)
#endif
/* What was rescued is dropped like what is referred to, the rest is verified again. */
#ifdef NO_RETRY
#define RETRY		false
#else
#define RETRY		ITERATE
#endif
#ifdef NO_RECOUNT
#define COUNT_CHANGED(o) false
#else
#define COUNT_CHANGED(o) (cnt[o] != snap[o])
#endif
#ifdef NO_REMARK
#define MARKS_COUNT	(phase == 1)
#else
#define MARKS_COUNT	true
#endif
#if (WEAK || RCU) && !defined(VERDICT)
#define TAKE_LOCK	!lock -> lock = 1
#else
#define TAKE_LOCK	skip		/* nobody else does */
#endif

inline first_member()
{
	o = 0;
	skip_others()
}

inline next_member()
{
	o++;
	skip_others()
}

inline skip_others()
{
	do
	:: o < NOBJ && !HAS(S, o) -> o++
	:: else -> break
	od
}

inline any_set()
{
	for (o : 0 .. NOBJ - 1) {
		if
		:: true
		:: !HAS(freed, o) -> S = S | BIT(o)
		fi
	}
}

inline begin_verification()
{
	if
	:: S == 0 -> goto stop
	:: else -> first_member()
	fi
}

/*
 * The collector holds a reference to all that it finalizes and clears: what one
 * finalizer has resurrected can be released again before another one has run.
 */
#if defined(FINAL) && !defined(NO_PIN)
#define PINNED		(phase - 1)
#else
#define PINNED		0
#endif

inline pin(set)
{
#if defined(FINAL) && !defined(NO_PIN)
	for (h_s : 0 .. NOBJ - 1) {
		if
		:: HAS(set, h_s) -> cnt[h_s]++
		:: else
		fi
	}
	h_s = 0
#else
	skip
#endif
}

inline unpin(set)
{
#if defined(FINAL) && !defined(NO_PIN)
	for (h_s : 0 .. NOBJ - 1) {
		if
		:: HAS(set, h_s) -> put_at_once(h_s)
		:: else
		fi
	}
	h_set = h_dying;
	clear_at_once(h_set)
#else
	skip
#endif
}

/* Dropped in the second verification: a finalizer's doing. */
inline survive(set)
{
	if
	:: phase == 2 ->
		d_step {
			garbage = garbage & ~set;
			unpin(set)
		}
	:: else
	fi
}

/* This run will not commit whatever comes: what it still reads does not matter. */
#ifdef MARK_LATE
#define LOST		false
#else
#define LOST		(!ITERATE && (drop || (S & ~candidate)))
#endif

/* The end of step 4: the sums are local, the lock is taken for step 5. */
inline add_up()
{
	d_step {
		for (h_s : 0 .. NOBJ - 1) {
			if
			:: HAS(S, h_s) && snap[h_s] > edges[h_s] + PINNED -> drop = drop | BIT(h_s)
			:: else
			fi;
			edges[h_s] = 0
		}
		h_s = 0;
		if
		:: RETRY && MARKS_COUNT -> drop = drop | (S & ~candidate)
		:: else
		fi
	}
	if
	:: drop == 0 ->
		first_member();
		goto commit
	:: drop != 0 && ITERATE ->
		S = S & ~drop;
		survive(drop);
		drop = 0;
		begin_verification();
		goto counts
	:: drop != 0 && !ITERATE -> goto stop
#ifdef CAND
	:: true ->		/* no memory for this run: the next one has to know */
#ifndef NO_REQUEUE
		buffered = buffered | (cands & ~freed);
#endif
		goto stop
#endif
	fi
}

proctype collector()
{
	byte runs = 0;
	byte phase = 1;		/* 2: after the finalizers */
	byte S = 0;		/* the suspects */
	byte drop = 0;		/* members to be dropped from it */
	byte o = 0;
	byte field = 0;
	byte snap[NOBJ];
	byte edges[NOBJ];
#ifdef LOOP
	byte doomed = 0;	/* unreachable when the run started */
#endif
#ifdef CAND
	byte cands = 0;
#endif

start:
#ifdef LOOP
	atomic {
		skip;
		d_step {
			find_live();
			doomed = ALL & ~freed & ~h_set;
			wipe()
		}
	}
#endif
#ifdef CAND
consume: /* step 1: what was freed meanwhile only left its name */
	atomic {
		if
		:: HAS(buffered, o) ->
			cands = cands | BIT(o);
#ifndef LATE_CONSUME
			buffered = buffered & ~BIT(o)
#endif
		:: else
		fi;
		o++;
		if
		:: o < NOBJ -> goto consume
		:: else -> o = 0
		fi
	}
#ifndef NO_GRACE
	/* every put and give that began before the flag was cleared has ended */
	atomic { !inside[0] }
#if NMUT > 1
	atomic { !inside[1] }
#endif
#endif
#endif

	atomic {	/* step 2: trial deletion may be wrong in any way */
#if defined(LOOP)
		S = ALL & ~freed;
#elif defined(CAND)
		S = cands & ~freed;
		d_step {
			close_over(S);
			wipe()
		}
#else
		any_set();
#endif
		begin_verification()
	}

#ifdef MARK_LATE
	goto counts;
#endif
mark:	/* step 3: the barrier is the end of this loop */
	atomic {
		candidate = candidate | BIT(o);
		next_member();
		if
		:: o < NOBJ -> goto mark
		:: else -> first_member()
		fi
	}
#ifdef MARK_LATE
	goto traverse;
#endif

counts:	/* step 4 */
#ifndef EDGES_FIRST
	atomic {
		snap[o] = cnt[o];
#ifndef DEAD_MEMBERS
		if
		:: cnt[o] == 0 -> drop = drop | BIT(o)	/* its references are not ours */
		:: else
		fi;
#endif
		next_member();
		if
		:: LOST -> goto stop
		:: !LOST && o < NOBJ -> goto counts
		:: else -> first_member()
		fi
	}
#endif
#ifdef MARK_LATE
	goto mark;
#endif

traverse:
#if defined(PIN) && !defined(NO_PIN)
	atomic {
		if
		:: cnt[o] == 0 ->
			drop = drop | BIT(o);
			goto traversed
		:: else -> cnt[o]++
		fi
	}
#endif
fields:	atomic {
#ifdef PIN
		/* what traverse looks at is the client's to free from that moment */
		assert(!HAS(freed, o));
#endif
		h_t = fld[SLOT(o, field)];
		if
		:: h_t != NIL && HAS(S, h_t) -> edges[h_t]++
		:: else
		fi;
		h_t = 0;
		field++;
		if
		:: field < NFLD -> goto fields
		:: else -> field = 0
		fi;
#if !defined(PIN) || defined(NO_PIN)
		next_member();
		if
		:: LOST -> goto stop
		:: !LOST && o < NOBJ -> goto traverse
		:: else
#ifndef EDGES_FIRST
			-> add_up()
#else
			-> first_member()
#endif
		fi
	}
#else
	}
	d_step {	/* not a put that remembers: the collector knows this object */
		cnt[o]--;
		if
		:: cnt[o] == 0 ->
			freed = freed | BIT(o);
			weak = weak & ~BIT(o);
			clear_at_once(BIT(o))
		:: else
		fi
	}
traversed:
	atomic {
		next_member();
		if
		:: o < NOBJ -> goto traverse
		:: else -> add_up()
		fi
	}
#endif

#ifdef EDGES_FIRST
late_counts:
	atomic {
		snap[o] = cnt[o];
		next_member();
		if
		:: o < NOBJ -> goto late_counts
		:: else -> add_up()
		fi
	}
#endif

commit:	/* step 5 */
#ifndef VERDICT
	atomic { TAKE_LOCK }
judge:	atomic {
		if
		:: COUNT_CHANGED(o) || (!HAS(candidate, o) && MARKS_COUNT) ->
			lock = 0;
			goto reject
		:: else -> next_member()
		fi;
		if
		:: o < NOBJ -> goto judge
		:: else
		fi;
		d_step {
			assert_nobody_holds(S);
			garbage = garbage | S;
			weak = weak & ~S;
			lock = 0
		}
	}
#else
	atomic { verdict = (verdict / 4 + 1) * 4 + OPEN }
judge:	atomic {
		if
		:: COUNT_CHANGED(o) || !HAS(candidate, o) -> goto reject
		:: else ->
			candidate = candidate & ~BIT(o);
			condemned = condemned | BIT(o);
			next_member()
		fi;
		if
		:: o < NOBJ -> goto judge
		:: else
		fi
	}
	atomic {	/* compare and exchange: this is the moment */
		if
#ifdef VERDICT_STORE
		:: false -> goto reject
#else
		:: verdict % 4 != OPEN -> goto reject
#endif
		:: else -> verdict = (verdict / 4) * 4 + COMMITTED
		fi;
		d_step { assert_nobody_holds(S) }
	}
	d_step {
		garbage = garbage | S;
		weak = weak & ~S;
		condemned = 0
	}
#endif

#ifdef FINAL
	/* step 6: a finalizer may store its object in the global slot */
	atomic {
		first_member();
		if
		:: phase == 2 -> goto clear
		:: else ->
			d_step { pin(S) }
		fi
	}
finalize:
	atomic {
		if
		:: true -> goto finalized
		:: true ->
			cnt[o]++;
			UNMARK(o)
		fi
	}
	d_step {
		h_i = fld[GLOBAL];
		fld[GLOBAL] = o;
		if
		:: h_i != NIL ->
			put_at_once(h_i);
			h_i = h_dying;
			clear_at_once(h_i)
		:: else -> wipe()
		fi
	}
finalized:
	atomic {
		next_member();
		if
		:: o < NOBJ -> goto finalize
		:: else ->
			first_member();
			phase = 2
#ifdef NO_REMARK
			; candidate = 0;
			goto counts
#endif
		fi
	}
again:	/* mark again, verify again */
	atomic {
		candidate = candidate | BIT(o);
		next_member();
		if
		:: o < NOBJ -> goto again
		:: else ->
			first_member();
			goto counts
		fi
	}
#endif

clear:	/* nobody can reach these: one step, whatever the mutators do meanwhile */
	atomic {
		skip;
		d_step {
			clear_at_once(S);
			unpin(S);
			S = 0
		}
		goto stop
	}

reject:	atomic {
#ifdef VERDICT
		candidate = candidate | condemned;
		condemned = 0;
#endif
		if
		:: RETRY ->
			begin_verification();
			goto counts
		:: else
		fi
	}

stop:	atomic {
		skip;
		d_step {
			candidate = 0;
			garbage = garbage & ~S;
			S = 0;
			drop = 0;
			o = 0;
			phase = 1;
			for (h_s : 0 .. NOBJ - 1) {
				snap[h_s] = 0;
				edges[h_s] = 0
			}
			h_s = 0;
#ifdef CAND
#ifdef LATE_CONSUME
			buffered = buffered & ~cands;
#endif
			cands = 0;
#endif
#ifdef LOOP
#if !WEAK && !RCU && !defined(FINAL)
			/* what was garbage when the run started is gone */
			assert((doomed & ~freed) == 0);
#endif
			doomed = 0;
#endif
			runs++
		}
		if
		:: runs < NRUNS -> goto start
		:: else
		fi
	}

	/* the mutators are done: one more run finds all that is left */
	atomic {
		nr_done == NMUT;
		d_step {
#ifdef CAND
			do
			:: buffered != 0 ->
				S = buffered & ~freed;
				buffered = 0;
				close_over(S);
				sift(S);
				clear_at_once(S)
			:: else -> break
			od;
#else
			S = ALL & ~freed;
			sift(S);
			clear_at_once(S);
#endif
			assert_at_rest()
		}
	}
}

/* ---- every heap to start from ------------------------------------------------- */
inline any_heap()
{
	for (i : 0 .. NSLOTS - 1) {
		if
		:: pick_from(ALL, fld[i])
		:: fld[i] = NIL
		fi
	}
#ifdef ROOT
	if
	:: pick_from(ALL, fld[GLOBAL])
	:: fld[GLOBAL] = NIL
	fi;
#endif
	/* names do not matter: the first holds 0, the second 0 or 1, ... */
	for (me : 0 .. NMUT - 1) {
		if
		:: pick_from((ALL & (BIT(me + 1) - 1)), L(0))
#if WEAK || RCU || defined(ROOT)
		:: L(0) = NIL
#endif
		fi
	}
}

inline ring()
{
	for (i : 0 .. NOBJ - 1) {
		fld[SLOT(i, 0)] = (i + 1) % NOBJ
	}
	for (me : 0 .. NMUT - 1) {
		L(0) = me % NOBJ
	}
}

inline count_references()
{
	count_edges_from(ALL);
	add_edge(fld[GLOBAL]);
	for (h_s : 0 .. NMUT * NLOC - 1) {
		add_edge(loc[h_s])
	}
	for (h_s : 0 .. NOBJ - 1) {
		cnt[h_s] = h_edges[h_s];
		if
		:: cnt[h_s] == 0 -> freed = freed | BIT(h_s)
		:: else
		fi
	}
	clear_at_once(freed);
	wipe()
}

init {
	byte i;
	byte me;

	atomic {
		for (i : 0 .. NSLOTS) {
			fld[i] = NIL
		}
		for (i : 0 .. NMUT * NLOC - 1) {
			loc[i] = NIL
		}
		for (i : 0 .. NMUT - 1) {
			in_hand[i] = NIL
		}
#ifdef RING
		ring();
#else
		any_heap();
#endif
		i = 0;
#if WEAK >= NOBJ
		weak = ALL;
#elif WEAK
		pick_from(ALL, i);
		weak = BIT(i);
#endif
#if RCU >= NOBJ
		table = ALL;
#elif RCU
		pick_from(ALL, i);
		table = BIT(i);
#endif
		i = 0;
		d_step {
			count_references();
			weak = weak & ~freed;
			table = table & ~freed;
#ifdef CAND
			find_live();
			buffered = ALL & ~freed & ~h_set;
			wipe()
#endif
		}
		for (me : 0 .. NMUT - 1) {
			run mutator(me)
		}
		me = 0;
		run collector()
	}
}
