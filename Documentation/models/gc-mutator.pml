/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mutators of gc.pml: any operation on anything they can reach.
 *
 * The first half of an increment counts, the second half looks at the mark;
 * the barrier between them is the order of the two blocks.
 */

#define L(i)		loc[me * NLOC + (i)]
#define LAST		L(NLOC - 1)	/* sorted: the free place if there is one */
#define hand		in_hand[me]
#define dying		in_release[me]

/*
 * An increment tells whether there was a mark, in the same step; then the mark is
 * cleared in another one.
 */
#ifdef LOOK_FIRST
#define FIRST_HALF(o)	UNMARK(o)
#define DONE(o)		false
#define SECOND_HALF(o)	cnt[o]++
#else
#define FIRST_HALF(o)	cnt[o]++
#define DONE(o)		(!MARKED(o))
#define SECOND_HALF(o)	UNMARK(o)
#endif

/* Lookups find these, and get no further with any other one. */
#define TO_BE_FOUND	(table & ~freed & ~garbage)

#ifdef ROOT
#define CAN_REACH	(L(0) != NIL || fld[GLOBAL] != NIL)
#else
#define CAN_REACH	(L(0) != NIL)
#endif

/* The local places of a mutator are interchangeable. */
inline sort_pair(i, j)
{
	if
	:: L(i) > L(j) -> h_t = L(i); L(i) = L(j); L(j) = h_t; h_t = 0
	:: else
	fi
}

inline sort_locals()
{
#if NLOC == 3
	sort_pair(0, 1);
	sort_pair(1, 2);
#endif
	sort_pair(0, 1)
}

/* Any reference that the mutator holds. */
inline pick_local(i)
{
	if
	:: L(0) != NIL -> i = 0
	:: L(1) != NIL && L(1) != L(0) -> i = 1
#if NLOC == 3
	:: L(2) != NIL && L(2) != L(1) -> i = 2
#endif
	fi
}

/* Any slot that the mutator can reach: of what it holds, or the global one. */
inline pick_slot(s)
{
	if
	:: L(0) != NIL ->
		pick_local(s);
		if
		:: s = SLOT(L(s), 0)
#if NFLD == 2
		:: s = SLOT(L(s), 1)
#endif
		fi
#ifdef ROOT
	:: s = GLOBAL
#endif
	fi
}

inline pick_from(set, obj)
{
	if
	:: HAS(set, 0) -> obj = 0
	:: HAS(set, 1) -> obj = 1
#if NOBJ > 2
	:: HAS(set, 2) -> obj = 2
#endif
#if NOBJ > 3
	:: HAS(set, 3) -> obj = 3
#endif
	fi
}

#ifdef FINAL
inline pick_first(set, obj)
{
	obj = 0;
	do
	:: !HAS(set, obj) -> obj++
	:: else -> break
	od
}

#define RELEASING	(dying & is_final)
#else
#define RELEASING	dying
#endif

/*
 * The read section of a lookup's slow half.  It begins with the increment here and
 * ends with the put's decrement: in the code it is a little longer at both ends.
 */
inline enter_section()
{
	inside = inside | BIT(me)
}

inline leave_section()
{
	inside = inside & ~BIT(me);
	waited_for = waited_for & ~BIT(me)
}

/* An uncounted reference became a counted one. */
inline upgraded(o)
{
	assert(!HAS(NOT_TO_BE_HAD, o));
	LAST = o;
	sort_locals()
}

/*
 * The decrement of a put.  One that leaves references may be the last that makes a
 * cycle of the object: the next run has to know.  The flag is set in the same
 * step, for after it the object can be anybody's to free; the name follows.
 */
inline put_hand()
{
	cnt[hand]--;
	if
	:: cnt[hand] == 0 ->
		freed = freed | BIT(hand);
		dying = dying | BIT(hand)
#if defined(CAND) && !defined(REMEMBER_EARLY)
	:: cnt[hand] != 0 && !HAS(buffered, hand) ->
		buffered = buffered | BIT(hand);
		name = hand
#endif
	:: else
	fi;
	hand = NIL
}

inline goto_got()
{
	if
	:: DONE(LAST) ->
		sort_locals();
		next_operation()
	:: else -> goto got
	fi
}

inline goto_set()
{
	if
	:: DONE(hand) -> goto store
	:: else -> goto set
	fi
}

inline next_operation()
{
	at = 0;
	who = 0;
	if
	:: left == 0 -> nr_done++
	:: else
	fi;
	goto end_next
}

inline go_on_after_put()
{
	if
#ifdef CAND
	:: name != NIL -> goto tell
	:: name == NIL && dying != 0 -> goto release
#else
	:: dying != 0 -> goto release
#endif
	:: else -> next_operation()
	fi
}

/*
 * The upgrade comes too late: undo the increment.  Nobody was promised anything,
 * so this reference is never in hand for the claim.
 */
inline take_back()
{
	hand = at;
	at = 0;
	assert(cnt[hand] > 1);		/* a lookup releases nothing */
	put_hand();
	leave_section();
	go_on_after_put()
}

proctype mutator(byte me)
{
	byte left = (me == 0 -> NOPS : NOPS2);	/* operations */
	byte at = 0;		/* the slot or the object that the operation is about */
	byte who = 0;
#if RCU
	byte seen = 0;		/* the verdict */
#endif
#ifdef CAND
	byte name = NIL;	/* flagged, and in no buffer yet */
#endif
#ifdef FINAL
	byte fin = NIL;		/* whose finalizer it is in */
#endif

end_next:
	atomic {
	if
	:: left > 0 && L(0) == NIL ->			/* give up early */
		left = 0;
		next_operation()

	:: left > 0 && L(0) != NIL && LAST == NIL ->	/* get */
		left--;
		pick_local(who);
		LAST = L(who);
		who = 0;
		FIRST_HALF(LAST);
		goto_got()

	:: left > 0 && L(0) != NIL ->			/* put */
		left--;
		pick_local(who);
		hand = L(who);
		L(who) = NIL;
		who = 0;
		sort_locals();
#ifdef REMEMBER_EARLY
		goto drop
#else
		put_hand();
		go_on_after_put()
#endif

	:: left > 0 && CAN_REACH ->			/* an operation on a slot */
		left--;
		pick_slot(at);
#ifdef BORROW
		/* or of an object that the slot refers to, under its owner's lock */
		if
		:: true
		:: fld[at] != NIL && fld[SLOT(fld[at], 0)] != NIL ->
			at = SLOT(fld[at], 0);
			who = 1
		fi;
#endif
		if
		:: fld[at] != NIL ->			/* ref_set(slot, NULL) */
			hand = fld[at];
			fld[at] = NIL;
			at = 0;
			who = 0;
			goto drop
		:: fld[at] != NIL && LAST == NIL ->	/* ref_take(slot) */
			LAST = fld[at];
			fld[at] = NIL;
			sort_locals();
			next_operation()
#ifndef LOOK_FIRST
		/* read and get, under the lock of the slot's owner: one step */
		:: fld[at] != NIL && LAST == NIL ->
			LAST = fld[at];
			at = 0;
			who = 0;
			FIRST_HALF(LAST);
			goto_got()
#endif
		:: L(0) != NIL && who == 0 ->		/* ref_set(slot, new) */
			pick_local(who);
			hand = L(who);
			who = 0;
			FIRST_HALF(hand);
			goto_set()
#ifndef CAND
		:: L(0) != NIL && who == 0 ->		/* a move into the slot */
			pick_local(who);
			hand = L(who);
			L(who) = NIL;
			who = 0;
			sort_locals();
#if !defined(GIVE_NO_MARK) && !defined(GIVE_LATE)
			UNMARK(hand);
#endif
			goto store
#endif
		fi

#if RCU
	/* tryget, weakref_get: increment unless zero or GARBAGE, clear the mark */
	:: left > 0 && LAST == NIL && TO_BE_FOUND != 0 ->
		left--;
		pick_from(TO_BE_FOUND, at);
		cnt[at]++;
#ifndef UPGRADE_NO_MARK
		UNMARK(at);
#endif
		if
#ifndef LOOKUP_NO_VERDICT
		:: HAS(condemned, at) ->
			enter_section();
			goto object
#endif
		:: else ->
			upgraded(at);
			next_operation()
		fi
#endif
	fi
	}

got:	/* second half of an increment of a marked object */
	atomic {
		SECOND_HALF(LAST);
		sort_locals();
		next_operation()
	}

set:	/* second half of the increment in ref_set */
	atomic { SECOND_HALF(hand) }

store:	/* exchange the content of the slot for the reference in hand */
	atomic {
		who = fld[at];
		fld[at] = hand;
		hand = who;
		who = 0;
#ifdef GIVE_LATE
	}
	atomic {
		if
		:: fld[at] != NIL -> UNMARK(fld[at])
		:: else
		fi;
#endif
		at = 0;
		if
		:: hand == NIL -> go_on_after_put()
		:: else
		fi
	}

drop:	/* put what is in hand */
#ifdef REMEMBER_EARLY
	atomic { REMEMBER(hand) }
#endif
	atomic {
		put_hand();
		go_on_after_put()
	}

#ifdef CAND
tell:	/* the name goes into a buffer, or there is no memory for it */
	atomic {
		if
		:: named = named | BIT(name)
#ifdef NO_MEMORY
		:: true ->
			need_full = 1;
			buffered = buffered & ~BIT(name)
#endif
		fi;
		name = NIL;
		go_on_after_put()
	}
#endif

release: /* a field at a time */
	atomic {
#ifdef FINAL
		if
		:: fin != NIL -> goto finalized
		:: else
		fi;
#endif
		d_step {
			h_s = 0;
			do
			:: h_s < NSLOTS && !(HAS(RELEASING, h_s / NFLD) && fld[h_s] != NIL) -> h_s++
			:: else -> break
			od;
			if
			:: h_s < NSLOTS ->
				hand = fld[h_s];
				fld[h_s] = NIL
			:: else -> dying = dying & ~RELEASING
			fi;
			h_s = 0
		}
		if
#ifdef FINAL
		:: hand == NIL && dying != 0 -> goto finalize
		:: hand == NIL && dying == 0 -> next_operation()
#else
		:: hand == NIL -> next_operation()
#endif
		:: hand != NIL -> goto drop
		:: hand != NIL && LAST == NIL ->	/* release moves it out */
			LAST = hand;
			hand = NIL;
			sort_locals();
			goto release
		fi
	}

#ifdef FINAL
finalize: /* the count was 0: one more reference for the time of the finalizer */
	atomic {
		pick_first(dying, fin);
		cnt[fin]++;
		freed = freed & ~BIT(fin);
		SET_FINALIZED(fin);
		UNMARK(fin);
#ifndef FINALIZE_OPENLY
		garbage = garbage | BIT(fin);
#endif
		ending = ending | BIT(fin)
	}
	atomic {
		if
		:: goto finalized
		:: at = GLOBAL				/* it stores its object */
		:: fld[SLOT(fin, 0)] != NIL ->		/* and makes a cycle of it */
			at = SLOT(fld[SLOT(fin, 0)], 0)
		fi;
		hand = fin;
		FIRST_HALF(hand);
		goto_set()
	}
finalized: /* the decrement, and what a put does when references are left */
	atomic {
		cnt[fin]--;
		garbage = garbage & ~BIT(fin);
		ending = ending & ~BIT(fin);
		if
		:: cnt[fin] == 0 -> freed = freed | BIT(fin)
		:: else ->
			dying = dying & ~BIT(fin);
#if defined(CAND) && !defined(FINALIZE_FORGETS)
			if
			:: !HAS(buffered, fin) ->
				buffered = buffered | BIT(fin);
				name = fin
			:: else
			fi
#endif
		fi;
		fin = NIL;
		go_on_after_put()
	}
#endif

#if RCU
object:	/* it was condemned: first the verdict, then the gc word */
#ifndef WORD_FIRST
	atomic { seen = verdict }
#endif
	atomic {
		UNMARK(at);
		if
		:: HAS(garbage, at) ->
			assert(HAS(NOT_TO_BE_HAD, at));
			goto refused
		:: !HAS(garbage, at) && HAS(condemned, at)
		:: !HAS((garbage | condemned), at) ->
			upgraded(at);
			seen = 0;
			leave_section();
			next_operation()
		fi
	}
#ifdef WORD_FIRST
	atomic { seen = verdict }
#endif
	atomic {	/* condemned: compare and exchange, or compare */
		if
		:: verdict != seen -> goto object
		:: verdict == seen && seen % 4 == COMMITTED ->
			assert(HAS(NOT_TO_BE_HAD, at));
			goto refused
		:: verdict == seen && seen % 4 != COMMITTED ->
			verdict = (seen / 4) * 4 + ABORTED;
			seen = 0;
			upgraded(at)
		fi
	}
	atomic {	/* so that the next attempt is without it */
		condemned = condemned & ~BIT(at);
		leave_section();
		next_operation()
	}
refused:
	atomic {
		seen = 0;
		take_back()
	}
#endif
	skip
}
