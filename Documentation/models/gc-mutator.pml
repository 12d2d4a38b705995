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

#ifdef LOOK_FIRST
#define FIRST_HALF(o)	UNMARK(o)
#define SECOND_HALF(o)	cnt[o]++
#else
#define FIRST_HALF(o)	cnt[o]++
#define SECOND_HALF(o)	UNMARK(o)
#endif

#ifdef VERDICT
#define UPGRADE_MAY_ENTER true
#else
#define UPGRADE_MAY_ENTER (!lock)
#endif

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

/* An uncounted reference became a counted one. */
inline upgraded(o)
{
	assert(!HAS(garbage, o));
	LAST = o;
	sort_locals()
}

/*
 * A put, and a give, can be the last that makes a cycle of its object: the next
 * run has to know.  After the decrement, or after the store, the object can be
 * anybody's to free, so it is remembered before, within an RCU read section.
 */
#ifdef CAND
#define ENTER(o)	inside[me] = 1; REMEMBER(o)
#define LEAVE		inside[me] = 0
#else
#define LEAVE		skip
#endif

/* The decrement of a put. */
inline put_hand()
{
	cnt[hand]--;
	if
	:: cnt[hand] == 0 ->
		freed = freed | BIT(hand);
		weak = weak & ~BIT(hand);
		dying = dying | BIT(hand)
	:: else
	fi;
	hand = NIL;
	LEAVE
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
	:: dying != 0 -> goto release
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
	REMEMBER(hand);
	put_hand();
	go_on_after_put()
}

proctype mutator(byte me)
{
	byte left = (me == 0 -> NOPS : NOPS2);	/* operations */
	byte at = 0;		/* the slot or the object that the operation is about */
	byte who = 0;
#ifdef VERDICT
	byte seen = 0;
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
		goto got

	:: left > 0 && L(0) != NIL ->			/* put */
		left--;
		pick_local(who);
		hand = L(who);
		L(who) = NIL;
		who = 0;
		sort_locals();
#ifdef CAND
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
			goto got
#endif
		:: L(0) != NIL && who == 0 ->		/* ref_set(slot, new) */
			pick_local(who);
			hand = L(who);
			who = 0;
			FIRST_HALF(hand);
			goto set
		:: L(0) != NIL && who == 0 ->		/* ref_give(slot, mine) */
			pick_local(who);
			hand = L(who);
			L(who) = NIL;
			who = 0;
			sort_locals();
#if !defined(GIVE_NO_MARK) && !defined(GIVE_LATE)
			UNMARK(hand);
#endif
#ifdef CAND
			ENTER(hand);
#endif
			goto store
		fi

#if WEAK
	/* weakref_get: increment unless zero */
	:: left > 0 && LAST == NIL && (weak & ~freed) != 0 && UPGRADE_MAY_ENTER ->
		left--;
		pick_from((weak & ~freed), at);
		cnt[at]++;
#ifdef VERDICT
		goto lookup
#else
		lock = 1;
		goto upgrade
#endif
#endif
#if RCU
	/* tryget under RCU of an object that a table leads to: unless zero */
	:: left > 0 && LAST == NIL && (table & ~freed) != 0 ->
		left--;
		pick_from((table & ~freed), at);
		cnt[at]++;
		goto lookup
#endif
	fi
	}

got:	/* second half of an increment for a local reference */
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
		LEAVE;
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
		:: hand == NIL -> next_operation()
		:: else
		fi
	}

drop:	/* put what is in hand */
#ifdef CAND
	atomic { ENTER(hand) }
#endif
	atomic {
		put_hand();
		go_on_after_put()
	}

release: /* a field at a time */
	atomic {
		skip;
		d_step {
			h_s = 0;
			do
			:: h_s < NSLOTS && !(HAS(dying, h_s / NFLD) && fld[h_s] != NIL) -> h_s++
			:: else -> break
			od;
			if
			:: h_s < NSLOTS ->
				hand = fld[h_s];
				fld[h_s] = NIL
			:: else -> dying = 0
			fi;
			h_s = 0
		}
		if
		:: hand == NIL -> next_operation()
		:: hand != NIL -> goto drop
		:: hand != NIL && LAST == NIL ->	/* release moves it out */
			LAST = hand;
			hand = NIL;
			sort_locals();
			goto release
		fi
	}

#if WEAK && !defined(VERDICT)
upgrade: /* second half of weakref_get, still under the lock */
	atomic {
#ifndef UPGRADE_NO_MARK
		UNMARK(at);
#endif
		upgraded(at);
		lock = 0;
		next_operation()
	}
#endif

#if RCU && !defined(VERDICT)
lookup:	/* second half of tryget: barrier, look at the gc word */
#ifdef LOOKUP_NO_LOCK
	atomic {
		UNMARK(at);
		upgraded(at);
		next_operation()
	}
#else
	atomic {
		if
		:: !HAS((candidate | garbage), at) ->
			upgraded(at);
			next_operation()
		:: else
		fi
	}
	atomic {	/* marked: the verdict is passed under this lock */
		!lock ->
		if
		:: HAS(garbage, at) -> take_back()
		:: else ->
			UNMARK(at);
			upgraded(at);
			next_operation()
		fi
	}
#endif
#endif

#ifdef VERDICT
lookup:	/* weakref_get and tryget alike: first the verdict, then the gc word */
	atomic { seen = verdict }
	atomic {
		if
		:: HAS(garbage, at) -> goto refused
		:: !HAS(garbage, at) && HAS(condemned, at)
		:: !HAS((garbage | condemned), at) ->
			UNMARK(at);
			upgraded(at);
			seen = 0;
			next_operation()
		fi
	}
	atomic {	/* condemned: compare and exchange, or compare */
		if
		:: verdict != seen -> goto lookup
		:: verdict == seen && seen % 4 == COMMITTED -> goto refused
		:: verdict == seen && seen % 4 != COMMITTED ->
			verdict = (seen / 4) * 4 + ABORTED;
			upgraded(at);
			seen = 0;
			next_operation()
		fi
	}
refused:
	atomic {
		seen = 0;
		take_back()
	}
#endif
	skip
}
