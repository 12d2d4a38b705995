/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who frees a dead object: the collector's buffers of names, a run, or its last
 * put.  One object; of the others no more is seen than that buffers fill up.
 *
 * README.rst beside this file says what is shown and how the steps map to the
 * code; scripts/model.sh runs it.
 *
 * One atomic { } block is one access to shared memory, or what is done under the
 * lock of a buffer.
 */

/* ---- size ------------------------------------------------------------------ */
#ifndef NMUT
#define NMUT	2	/* mutators */
#endif
#ifndef NOPS
#define NOPS	2	/* operations of a mutator */
#endif
#ifndef NRUNS
#define NRUNS	2	/* runs of the collector, or walks over the buffers only */
#endif

/*
 * ---- broken on purpose --------------------------------------------------------
 * FLAG_LATE      BUFFERED is set after the decrement
 * NEW_STAYS      neither lookups nor puts clear NEW, which is RELEASED's bit
 * NO_RELEASED    a dead object is freed although its name is in a buffer
 * NO_RECHECK     RELEASED is set without a look at BUFFERED in the same step
 * TWO_STEPS      who takes the name out reads RELEASED, then clears BUFFERED
 * NO_PARK        dead objects are freed while a run is under way
 * FIELDS_FIRST   a run reads fields before it says that it is under way
 * PARK_BLINDLY   who parks does not look whether the run has ended meanwhile
 * ALL_OURS       a run frees its garbage although a buffer has the name as well
 * LET_GO_BLINDLY a run lets go of the name without a look at RELEASED
 */

/* ---- the object ---------------------------------------------------------------- */
byte cnt;
bit  buffered;			/* gc word, BUFFERED */
bit  bit6;			/* gc word: NEW of the living, RELEASED of the dead */
bit  condemned;			/* gc word, CONDEMNED; the verdict is committed */
bit  garbage;			/* gc word, GARBAGE */
bit  freed;			/* the memory is somebody else's */

/* ---- who refers to it ---------------------------------------------------------- */
bit  self;			/* it itself: a cycle */
bit  field;			/* a field that runs look at */
byte held[NMUT];		/* a mutator, that often */

/* ---- who has its name ---------------------------------------------------------- */
bit  in_chunk;			/* a CPU's buffer */
bit  in_full;			/* the list of full ones */
bit  is_parked;			/* what the run leaves */
bit  running;			/* a run is under way */
bit  lock;			/* the collector's */
bit  work;			/* free_late() is queued */
byte nr_done;

/* Every look at the object's head. */
#define LOOK	assert(!freed)
#define FREE	assert(!freed); freed = 1

#ifdef NEW_STAYS
#define NOT_NEW	skip
#else
#define NOT_NEW	bit6 = 0
#endif
#ifdef NO_RELEASED
#define NAME_IS_KNOWN	false
#else
#define NAME_IS_KNOWN	buffered
#endif
#ifdef NO_RECHECK
#define NAME_WAS_KNOWN	true
#else
#define NAME_WAS_KNOWN	buffered
#endif
#ifdef NO_PARK
#define IS_RUNNING	false
#else
#define IS_RUNNING	running
#endif

/* kheap_object_dispose(), park() */
inline dispose()
{
	if
	:: atomic { NAME_IS_KNOWN -> LOOK } ->
		atomic {
			LOOK;
			bit6 = 1;
			theirs = NAME_WAS_KNOWN
		}
	:: atomic { !NAME_IS_KNOWN -> LOOK }
	fi;
	if
	:: atomic { !theirs && IS_RUNNING -> skip } ->
		atomic { LOOK; is_parked = 1 }
#ifndef PARK_BLINDLY
		if
		:: atomic { !running -> work = 1 }
		:: running
		fi
#endif
	:: atomic { !theirs && !IS_RUNNING -> skip } -> atomic { FREE }
	:: atomic { theirs -> theirs = 0 }
	fi
}

inline free_parked()
{
	if
	:: is_parked ->
		is_parked = 0;
		FREE
	:: else
	fi
}

/* kheap_gc_forget(): the name is in our hands, and in no buffer */
inline forget()
{
#ifdef TWO_STEPS
	atomic { LOOK; was_released = bit6 }
	atomic { LOOK; buffered = 0 }
#else
	atomic {
		LOOK;
		was_released = bit6;
		buffered = 0
	}
#endif
	if
	:: atomic { was_released -> was_released = 0 } -> dispose()
	:: atomic { !was_released -> skip }
	fi
}

/* chunk_compact() of the chunk that was taken into name */
inline compact()
{
	if
	:: atomic { name && bit6 -> LOOK; name = 0 } -> forget()
	:: atomic { name && !bit6 -> LOOK }
	:: atomic { !name -> skip }
	fi
}

/* ---- a mutator ------------------------------------------------------------------- */
#define TO_BE_FOUND	(cnt > 0 && !garbage)

proctype mutator(byte me)
{
	byte left = NOPS;
	bit  name = 0;
	bit  ours = 0;		/* the name that we are about to put in */
	bit  theirs = 0;
	bit  was_released = 0;

end_next:
	atomic {
		if
		:: left > 0 && held[me] > 0 ->		/* put */
			left--;
			held[me]--;
			goto put
		:: left > 0 && held[me] > 0 && self ->	/* clear what it refers to */
			left--;
			self = 0;
			goto put
		:: left > 0 && field ->			/* ref_set(field, NULL) */
			left--;
			field = 0;
			goto put
		:: left > 0 && held[me] > 0 && !field ->	/* ref_set(field, it) */
			left--;
			LOOK;
			cnt++
		:: left > 0 && TO_BE_FOUND ->		/* tryget */
			left--;
			LOOK;
			cnt++;
			NOT_NEW;
			if
			:: condemned -> goto put	/* refused */
			:: else ->
				held[me]++;
				goto end_next
			fi
		:: left > 0 ->		/* a put of another object */
			left--;
			goto remember
		:: left == 0 ->
			nr_done++;
			goto done
		fi
	}
	atomic {	/* after the increment: a look at NEW, and at the mark */
		LOOK;
		bit6 = 0
	}
	atomic {
		if
		:: field -> goto put	/* another one was faster: it is put */
		:: else ->
			field = 1;
			goto end_next
		fi
	}

put:	atomic {
		LOOK;
		cnt--;
		if
		:: cnt == 0 ->
			NOT_NEW;
			goto dead
		:: cnt > 0 && buffered -> goto end_next
		:: cnt > 0 && !buffered ->
			NOT_NEW;
			ours = 1;
#ifndef FLAG_LATE
			buffered = 1
#endif
		fi
	}
#ifdef FLAG_LATE
	atomic { LOOK; buffered = 1 }
#endif

remember: /* chunk_add() */
	atomic {
		if
		:: ours ->		/* there is room */
			ours = 0;
			in_chunk = 1;
			goto end_next
		:: !ours -> goto end_next
		:: true ->		/* there is none: the chunk is in our hands */
			name = in_chunk;
			in_chunk = 0
		fi
	}
	compact();
	atomic {	/* kept, if it has room now, or handed on */
		if
		:: name && !in_chunk -> in_chunk = 1
		:: name -> in_full = 1
		:: !name
		fi;
		name = 0;
		if
		:: goto remember	/* there is a chunk with room now */
		:: ours -> ours = 0	/* there is no memory for one */
		:: !ours -> goto end_next
		fi
	}
	forget();
	goto end_next;

dead:	dispose();
	goto end_next;

done:	skip
}

/* ---- the collector ----------------------------------------------------------------- */
proctype free_late()
{
end_wait:
	atomic {
		work && !lock ->
		work = 0;
		free_parked();
		goto end_wait
	}
}

proctype collector()
{
	byte runs = 0;
	bit  name = 0;
	bit  theirs = 0;
	bit  was_released = 0;
	bit  seen = 0;
	bit  ours = 0;		/* NAME_IS_OURS */

again:	atomic {
		!lock ->
		lock = 1;
		name = 0;
		if
		:: goto trim
		:: skip
		fi
	}

#ifdef FIELDS_FIRST
	atomic { seen = field }
#endif
	atomic { running = 1 }
	atomic { name = in_chunk; in_chunk = 0 }
	atomic { name = name | in_full; in_full = 0 }
	if
	:: atomic { name -> name = 0 } -> forget()	/* step 1 */
	:: !name
	fi;
#ifndef FIELDS_FIRST
	atomic { seen = field }
#endif
	if
	:: atomic { seen -> LOOK; seen = 0 }		/* step 2: what a field leads to */
	:: !seen
	fi;

	atomic {	/* a verdict, when nothing but the object itself refers to it */
		if
		:: self && cnt == 1 -> condemned = 1
		:: goto ended
		fi
	}
	atomic {	/* own() */
		LOOK;
		condemned = 0;
		garbage = 1;
		cnt++;
		ours = !buffered;
#ifdef ALL_OURS
		ours = 1;
#endif
		buffered = 1
	}
	atomic {	/* clear: puts of what is BUFFERED */
		LOOK;
		self = 0;
		cnt--
	}
	atomic {	/* drop_one() */
		LOOK;
		cnt--;
		if
		:: cnt > 0 -> goto let_go
		:: cnt == 0 && ours -> goto free_it
		:: else
		fi
	}
	dispose();
	goto let_go;	/* the name is in a buffer as well */

free_it:
	atomic {
		FREE;
		ours = 0;
		goto ended
	}

let_go:
	atomic { LOOK }	/* the count */
	atomic {
		LOOK;
		if
		:: ours ->
			was_released = bit6;
			buffered = 0
		:: else
		fi;
		ours = 0
	}
#ifdef LET_GO_BLINDLY
	atomic { was_released = 0 }
#endif
	if
	:: atomic { was_released -> was_released = 0 } -> atomic { FREE }
	:: atomic { !was_released -> skip }
	fi;

ended:	atomic { running = 0 }
unlock:	atomic {
		free_parked();
		lock = 0;
		runs++;
		if
		:: runs < NRUNS -> goto again
		:: else -> goto at_rest
		fi
	}

trim:	/* kheap_gc_compact() */
	atomic { name = in_chunk; in_chunk = 0 }
	atomic { name = name | in_full; in_full = 0 }
	compact();
	atomic {
		in_full = in_full | name;
		name = 0;
		goto unlock
	}

at_rest: /* the dead one's memory is free, or will be when its name is taken out */
	atomic {
		nr_done == NMUT && !work && !lock ->
		assert(!is_parked);
		assert(cnt == 0 || !freed);
		assert(cnt > 0 || freed || (bit6 && buffered));
		assert(freed || buffered == (in_chunk | in_full));
		assert(!freed || !(in_chunk | in_full))
	}
}

/* ---- any object to start with ---------------------------------------------------- */
init {
	byte me;

	atomic {
		if
		:: true ->		/* a new one */
			held[0] = 1;
			bit6 = 1;
			cnt = 1
		:: true ->
			if
			:: self = 1; cnt++
			:: skip
			fi;
			if
			:: field = 1; cnt++
			:: skip
			fi;
			for (me : 0 .. NMUT - 1) {
				if
				:: held[me] = 1; cnt++
				:: skip
				fi
			}
			if
			:: cnt == 0 -> held[0] = 1; cnt = 1
			:: else
			fi
		fi;
		for (me : 0 .. NMUT - 1) {
			run mutator(me)
		}
		me = 0;
		run free_late();
		run collector()
	}
}
