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
#ifndef RCU
#define RCU	0	/* objects that lookups find without a reference */
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
 * NO_MEMORY CAND: a name may find no room in a buffer
 * PIN       traverse holds a reference; claims besides: it never sees an object
 *           whose release has begun
 * FINAL     finalizers that may resurrect, where the last put is and in a run,
 *           and the second verification
 * NO_CLEAR  with RCU: any objects may be of types without clear, at least one is
 *
 * ---- broken on purpose -----------------------------------------------------
 * EDGES_FIRST      verification counts the edges before it reads the counts
 * MARK_LATE        the marks are set after the counts are read
 * GET_NO_MARK      increments leave the mark alone
 * LOOK_FIRST       increments look at the mark before they increment
 * GIVE_NO_MARK     a reference moves into a slot without a look at the mark
 * GIVE_LATE        that look comes after the store
 * DEAD_MEMBERS     objects whose count is 0 stay in S
 * UPGRADE_NO_MARK  lookups leave the mark alone
 * LOOKUP_NO_VERDICT a lookup does not care whether its object is condemned
 * VERDICT_STORE    the verdict is stored, not compared and exchanged
 * WORD_FIRST       a lookup reads the verdict after the gc word
 * NO_LOOKUP_GRACE  a run does not wait for the lookups that its verdict was too late
 *                  for
 * GRACE_BEFORE_GARBAGE it does, but before it has written GARBAGE to all members
 * NO_PIN           PIN: traverse without a reference; FINAL: finalize without
 * NO_REMARK        FINAL: the second verification sets no marks
 * FINALIZE_OPENLY  FINAL: lookups find a dying object that is in its finalizer
 * FINALIZE_FORGETS FINAL, CAND: what a finalizer resurrected is not remembered
 * NO_RETRY         LOOP: a run ends where its verdict is refused
 * NO_NEED_FULL     CAND: a run that gives up tells the next one nothing
 * REMEMBER_EARLY   CAND: flag and name come before the decrement, not in it
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
		:: HAS(set, h_s) ->	/* a put that does not remember */
			cnt[h_s]--;
			if
			:: cnt[h_s] == 0 ->
				freed = freed | BIT(h_s);
				h_dying = h_dying | BIT(h_s)
			:: else
			fi
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
#ifdef FINAL
			sentenced = sentenced & ~set;
#endif
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

/* The end of step 4. */
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
	:: phase == 1 ->	/* no memory for this run: the next one has to know */
#ifndef NO_NEED_FULL
		need_full = 1;
#endif
		goto stop
#endif
	fi
}

inline to_garbage(set)
{
	condemned = condemned & ~(set);
	garbage = garbage | (set)
}

/* A count that is not the one that the verdict was passed with: a lookup is under way. */
inline sentence(obj)
{
	to_garbage(BIT(obj));
	if
	:: cnt[obj] != snap[obj] -> looked_up = 1
	:: else
	fi
}

/* synchronize_rcu(): who is in a read section now, not who enters one later. */
inline begin_grace_period()
{
	waited_for = inside
}

inline wait_for_lookups()
{
#if !defined(NO_LOOKUP_GRACE) && !defined(GRACE_BEFORE_GARBAGE)
	if
	:: looked_up -> begin_grace_period()
	:: else
	fi;
#endif
	looked_up = 0
}

/* The collector takes a reference, if it has none, and the name. */
inline own_one(obj)
{
	sentence(obj);
	if
	:: PINNED == 0 -> cnt[obj]++
	:: else
	fi;
#ifdef CAND
	ours = ours | (BIT(obj) & ~buffered);
	buffered = buffered | BIT(obj)
#endif
}

inline clear_one(obj)
{
	d_step {
		for (h_s : SLOT(obj, 0) .. SLOT(obj, NFLD - 1)) {
			if
			:: !HAS(no_clear, obj) && fld[h_s] != NIL ->
				h_t = fld[h_s];
				fld[h_s] = NIL;
				put_at_once(h_t)
			:: else
			fi
		}
		h_i = h_dying;
		clear_at_once(h_i)
	}
}

inline drop_reference(obj)
{
	cnt[obj]--;
	if
	:: cnt[obj] == 0 ->
		freed = freed | BIT(obj);
#ifdef NO_CLEAR
		d_step {	/* its release */
			h_i = BIT(obj);
			clear_at_once(h_i)
		}
#endif
	:: else
	fi
}

/* Nothing but the uncollectable is left of it. */
inline assert_reclaimed(set)
{
	d_step {
#ifdef NO_CLEAR
		h_set = set & no_clear & ~freed;
		keep_uncollectable(h_set);
#endif
		assert((set & ~freed & ~h_set) == 0);
		wipe()
	}
}

/* What is uncollectable can be found again. */
inline let_go_of(obj)
{
	sentenced = sentenced & ~(BIT(obj) & ~freed);
	garbage = garbage & ~BIT(obj);
#ifdef CAND
	buffered = buffered & ~(BIT(obj) & ours)
#endif
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
#if RCU
	bit  looked_up = 0;	/* a lookup is under way that has to fail */
#endif
#ifdef CAND
	byte cands = 0;
	byte ours = 0;		/* NAME_IS_OURS: in no buffer, BUFFERED by this run */
	bit  walk_all = 0;
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
	/* step 1: what was freed meanwhile only left its name */
	atomic {
		walk_all = need_full;
		need_full = 0
	}
	atomic {
		cands = named;
		named = 0
	}
forget:	atomic {
#ifndef LATE_CONSUME
		buffered = buffered & ~(cands & BIT(o));
#endif
		o++;
		if
		:: o < NOBJ -> goto forget
		:: else -> o = 0
		fi
	}
#endif

	atomic {	/* step 2: trial deletion may be wrong in any way */
#if defined(LOOP)
		S = ALL & ~freed;
#elif defined(CAND)
		S = (walk_all -> ALL : cands) & ~freed;
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
		:: PINNED				/* it is held */
		:: !PINNED && cnt[o] == 0 ->
			drop = drop | BIT(o);
			goto traversed
		:: !PINNED && cnt[o] != 0 && HAS(garbage, o) ->
			goto traversed			/* in its finalizer */
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
		if
		:: PINNED
		:: else ->
			cnt[o]--;
			if
			:: cnt[o] == 0 ->
				freed = freed | BIT(o);
				SET_FINALIZED(o);
				clear_at_once(BIT(o))
			:: else
			fi
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
#if RCU
	atomic { verdict = (verdict / 4 + 1) * 4 + OPEN }
#endif
judge:	atomic {
		if
		:: COUNT_CHANGED(o) || (!HAS(candidate, o) && MARKS_COUNT) -> goto reject
		:: else ->
			candidate = candidate & ~BIT(o);
			condemned = condemned | BIT(o);
			next_member()
		fi;
		if
		:: o < NOBJ -> goto judge
		:: else -> first_member()
		fi;
#if RCU
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
#ifdef GRACE_BEFORE_GARBAGE
		begin_grace_period();
#endif
#endif
		d_step {
			assert_nobody_holds(S);
#if RCU || defined(FINAL)
			sentenced = sentenced | S;
#endif
#if !RCU
			to_garbage(S)
#endif
		}
	}

	/* step 6 */
#ifdef GRACE_BEFORE_GARBAGE
	atomic { waited_for == 0 }
#endif
#ifdef FINAL
	atomic {
		if
		:: phase == 2 -> goto clear
		:: else
		fi
	}
#if RCU
set_garbage:
	atomic {
		sentence(o);
		next_member();
		if
		:: o < NOBJ -> goto set_garbage
		:: else ->
			first_member();
			wait_for_lookups()
		fi
	}
#endif
	atomic {
#if RCU
		waited_for == 0;
#endif
		if
		:: (S & ~is_final) == 0 -> goto clear
		:: else
		fi;
		d_step { pin(S) }
	}
	/* a finalizer may store its object in the global slot */
finalize:
	atomic {
		if
		:: HAS(is_final, o) -> goto finalized
		:: !HAS(is_final, o) ->
			SET_FINALIZED(o);
			goto finalized
		:: !HAS(is_final, o) ->
			SET_FINALIZED(o);
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

clear:
#if !RCU
	/* nobody can tell this from one step, whatever the mutators do meanwhile */
	atomic {
		skip;
		d_step {
			clear_at_once(S);
			if
			:: PINNED -> unpin(S)
			:: else
			fi;
			S = 0
		}
		goto stop
	}
#else
	atomic {
		own_one(o);
		next_member();
		if
		:: o < NOBJ -> goto clear
		:: else ->
			first_member();
#ifndef FINAL
			wait_for_lookups()
#endif
		fi
	}
	atomic { waited_for == 0 }
clear_all:
	atomic {
		clear_one(o);
		next_member();
		if
		:: o < NOBJ -> goto clear_all
		:: else -> first_member()
		fi
	}
drop_all:
	atomic {
		drop_reference(o);
		next_member();
		if
		:: o < NOBJ -> goto drop_all
		:: else ->
			first_member();
			assert_reclaimed(S)
		fi
	}
let_go_of_the_rest:
	atomic {
		let_go_of(o);
		next_member();
		if
		:: o < NOBJ -> goto let_go_of_the_rest
		:: else -> goto stop
		fi
	}
#endif

reject:	atomic {
		if
		:: !RETRY -> goto stop
		:: else
		fi
	}
#if RCU
acquit:	/* but for those that somebody objected for */
	atomic {
		if
		:: condemned != 0 ->
			h_t = condemned & -condemned;
			condemned = condemned & ~h_t;
			candidate = candidate | h_t;
			h_t = 0;
			goto acquit
		:: else
		fi
	}
#endif
	atomic {
#if !RCU
		candidate = candidate | condemned;
		condemned = 0;
#endif
		begin_verification();
		goto counts
	}

stop:	atomic {
		skip;
		d_step {
			candidate = 0;
			condemned = 0;
			garbage = garbage & ~freed;
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
			ours = 0;
			walk_all = 0;
#endif
#ifdef LOOP
#if !RCU && !defined(FINAL)
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
			:: named != 0 || need_full ->
				S = (need_full -> ALL : named) & ~freed;
				buffered = buffered & ~named;
				named = 0;
				need_full = 0;
				close_over(S);
				sift(S);
				clear_at_once((S & ~no_clear))
			:: else -> break
			od;
#else
			S = ALL & ~freed;
			sift(S);
			clear_at_once((S & ~no_clear));
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
#if RCU || defined(ROOT)
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
#if RCU >= NOBJ
		table = ALL;
#elif RCU
		pick_from(ALL, i);
		table = BIT(i);
#endif
		i = 0;
#ifdef NO_CLEAR
		pick_from(ALL, i);
		no_clear = BIT(i);
		do
		:: no_clear != ALL ->
			pick_from((ALL & ~no_clear), i);
			no_clear = no_clear | BIT(i)
		:: true -> break
		od;
		i = 0;
#endif
		d_step {
			count_references();
#if RCU
			table = table & ~freed;
#endif
#ifdef CAND
			find_live();
			buffered = ALL & ~freed & ~h_set;
			named = buffered;
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
