/* SPDX-License-Identifier: GPL-2.0 */
/* The heap of gc.pml: objects, who refers to them, the claim of the search. */

#define NIL		7
#define BIT(o)		(1 << (o))
#define HAS(set, o)	((set) & BIT(o))
#define ALL		(BIT(NOBJ) - 1)
#define SLOT(o, k)	((o) * NFLD + (k))
#define NSLOTS		(NOBJ * NFLD)
#define GLOBAL		NSLOTS		/* the global slot comes after the fields */

/* ---- objects -------------------------------------------------------------- */
byte cnt[NOBJ];			/* reference counts */
byte fld[NSLOTS + 1];		/* the fields of all objects; the global slot */
byte candidate;			/* gc word, CANDIDATE: the marks, a bit an object */
byte condemned;			/* gc word, CONDEMNED: garbage if the verdict says so */
byte garbage;			/* gc word, GARBAGE: lookups are refused */
byte freed;			/* the count is 0: being released, or parked */
#if RCU
byte table;			/* objects that a lookup finds, nobody counts them */
byte verdict;			/* of the heap: number of the attempt * 4 + one of these */
#define OPEN		1
#define COMMITTED	2
#define ABORTED		3
byte inside;			/* mutators in the read section of a lookup, a bit each */
byte waited_for;		/* of these, those that a grace period has to wait for */
#endif
#ifdef NO_CLEAR
byte no_clear;			/* objects of types without clear */
#else
#define no_clear		0
#endif
#ifdef FINAL
byte is_final; 			/* gc word, FINALIZED */
#define SET_FINALIZED(o) is_final = is_final | BIT(o)
#else
#define SET_FINALIZED(o) skip
#endif
#ifdef CAND
byte buffered;			/* gc word, BUFFERED: remembered as a candidate */
byte named;			/* ... and the name is in a buffer */
bit  need_full;			/* names were lost: the next run looks at everything */
#define REMEMBER(o)	named = named | (BIT(o) & ~buffered); \
			buffered = buffered | BIT(o)
#else
#define REMEMBER(o)	skip
#endif
#ifdef GET_NO_MARK
#define MARKED(o)	false
#define UNMARK(o)	skip
#else
#define MARKED(o)	HAS(candidate, o)
#define UNMARK(o)	candidate = candidate & ~BIT(o)
#endif

/* ---- not in the code: for the claims -------------------------------------- */
#if RCU || defined(FINAL)
byte sentenced;			/* a verdict was passed on it and stands */
#endif
#ifdef FINAL
byte ending;			/* its finalizer runs after its last put */
#define NOT_TO_BE_HAD	(sentenced | ending)
#else
#define NOT_TO_BE_HAD	sentenced
#endif

/* ---- who else holds references -------------------------------------------- */
byte loc[NMUT * NLOC];		/* the mutators' locals, each sorted, NIL last */
byte in_hand[NMUT];		/* one reference between two places */
byte in_release[NMUT];		/* objects whose release this mutator runs */
byte nr_done;			/* mutators that have nothing left to do */

/* ---- scratch: zero between two steps --------------------------------------- */
byte h_set, h_old, h_i, h_s, h_t, h_dying;
byte h_edges[NOBJ];

inline wipe()
{
	h_set = 0;
	h_old = 0;
	h_i = 0;
	h_s = 0;
	h_t = 0;
	h_dying = 0;
	for (h_s : 0 .. NOBJ - 1) {
		h_edges[h_s] = 0
	}
	h_s = 0
}

/* set = set and all that it reaches */
inline close_over(set)
{
	do
	:: true ->
		h_old = set;
		for (h_i : 0 .. NSLOTS - 1) {
			if
			:: HAS(set, h_i / NFLD) && fld[h_i] != NIL ->
				set = set | BIT(fld[h_i])
			:: else
			fi
		}
		if
		:: h_old == set -> break
		:: else
		fi
	od
}

inline add_to_set(obj)
{
	if
	:: obj != NIL -> h_set = h_set | BIT(obj)
	:: else
	fi
}

/*
 * h_set = all that somebody can still touch: what the locals, the references
 * in flight, the releases in progress and the global slot lead to.
 */
inline find_live()
{
	h_set = 0;
	for (h_i : 0 .. NMUT * NLOC - 1) {
		add_to_set(loc[h_i])
	}
	for (h_i : 0 .. NMUT - 1) {
		add_to_set(in_hand[h_i]);
		h_set = h_set | in_release[h_i]
	}
	add_to_set(fld[GLOBAL]);
	close_over(h_set)
}

/* The claim: a verdict of garbage is passed on nothing that can be touched. */
inline assert_nobody_holds(set)
{
	find_live();
	assert((h_set & set) == 0);
	wipe()
}

/*
 * ---- put and release in one step: the collector's own -----------------------
 * Who dies by the collector's hand without being garbage has a finalizer that
 * does nothing.
 */
inline put_at_once(ref)
{
	cnt[ref]--;
	if
	:: cnt[ref] == 0 ->
		freed = freed | BIT(ref);
		SET_FINALIZED(ref);
		h_dying = h_dying | BIT(ref)
	:: else -> REMEMBER(ref)
	fi
}

/* Empty the fields of @set, and of everything that this releases. */
inline clear_at_once(set)
{
	h_dying = set;
	do
	:: true ->
		h_old = h_dying;
		for (h_s : 0 .. NSLOTS - 1) {
			if
			:: HAS(h_dying, h_s / NFLD) && fld[h_s] != NIL ->
				h_t = fld[h_s];
				fld[h_s] = NIL;
				put_at_once(h_t)
			:: else
			fi
		}
		if
		:: h_old == h_dying -> break
		:: else
		fi
	od;
	wipe()
}

/* ---- with nobody beside: what a run finds, and what must hold at the end ----- */
inline count_edges_from(set)
{
	for (h_s : 0 .. NOBJ - 1) {
		h_edges[h_s] = 0
	}
	for (h_s : 0 .. NSLOTS - 1) {
		if
		:: HAS(set, h_s / NFLD) && fld[h_s] != NIL -> h_edges[fld[h_s]]++
		:: else
		fi
	}
}

#ifdef NO_CLEAR
/* What no run can reclaim: reduce @set, without clear all, to what its cycles reach. */
inline keep_uncollectable(set)
{
	do
	:: true ->
		count_edges_from(set);
		h_old = set;
		for (h_s : 0 .. NOBJ - 1) {
			if
			:: HAS(set, h_s) && h_edges[h_s] == 0 -> set = set & ~BIT(h_s)
			:: else
			fi
		}
		if
		:: h_old == set -> break
		:: else
		fi
	od;
	close_over(set)
}
#endif

/* Keep of @set what nothing outside of it refers to. */
inline sift(set)
{
	do
	:: true ->
		count_edges_from(set);
		h_old = set;
		for (h_s : 0 .. NOBJ - 1) {
			if
			:: HAS(set, h_s) && cnt[h_s] > h_edges[h_s] ->
				set = set & ~BIT(h_s)
			:: else
			fi
		}
		if
		:: h_old == set -> break
		:: else
		fi
	od;
	wipe()
}

inline add_edge(obj)
{
	if
	:: obj != NIL -> h_edges[obj]++
	:: else
	fi
}

/* Exactly what is reachable or uncollectable is left, and its counts are exact. */
inline assert_at_rest()
{
	assert(candidate == 0 && condemned == 0);
	assert((garbage & ~freed) == 0);
#ifdef CAND
	assert((buffered & ~named & ~freed) == 0);
#endif
	find_live();
#ifdef NO_CLEAR
	h_t = h_set;
	h_set = no_clear & ~freed & ~h_t;
	keep_uncollectable(h_set);
	h_set = h_set | h_t;
#endif
	assert(h_set == (ALL & ~freed));
	count_edges_from(ALL);
	for (h_s : 0 .. NMUT * NLOC - 1) {
		add_edge(loc[h_s])
	}
	add_edge(fld[GLOBAL]);
	for (h_s : 0 .. NOBJ - 1) {
		assert(cnt[h_s] == h_edges[h_s])
	}
	wipe()
}
