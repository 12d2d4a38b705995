/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mark of a free block: two CPUs, each with a task, an interrupt that may
 * come at any step, a magazine and a store buffer; a depot; a pool with a list
 * of free blocks. Clients are correct, but for what a search allows them.
 *
 * README.rst beside this file says what is shown and how the steps map to the
 * code; scripts/model.sh runs it.
 *
 * One atomic { } block is one step of a CPU. A store to a block's word goes to
 * the CPU's store buffer, from where it reaches memory at any time later, in
 * order. An instruction with a lock prefix, and so to take a lock, empties it.
 */

/* ---- size ------------------------------------------------------------------ */
#ifndef NBLK
#define NBLK	2	/* blocks, at most 4 */
#endif
#ifndef CAP
#define CAP	2	/* places in a magazine */
#endif
#ifndef NOPS
#define NOPS	2	/* operations of each task */
#endif
#ifndef NIRQ
#define NIRQ	1	/* operations of each interrupt */
#endif
#ifndef DEPTH
#define DEPTH	2	/* places in a store buffer, at most 2 */
#endif
#ifndef NBAD
#define NBAD	1	/* what clients do that they must not */
#endif

/*
 * ---- what clients do that they must not ----------------------------------------
 * SECOND	they free a block again after the first free has returned
 * TWIN		two of them free one block in the same instant
 * SCRIBBLE	they write over the mark of a free block
 *
 * ---- what is allowed -----------------------------------------------------------
 * ATOMIC	a free looks and stores in one step: debug flag F
 * LOOKALIKE	an owner may leave what looks like the mark of a listed block
 *
 * ---- broken on purpose ---------------------------------------------------------
 * TAKE_NO_CLEAR	an allocation leaves the mark
 * TAKE_UNCHECKED	an allocation does not look at the mark
 * PUT_UNCHECKED	a free does not look at the mark
 * CLEAR_LATE		an allocation clears the mark of a block handed out
 * GIVE_UNCHECKED	a block goes from a cache to the pool without a look
 * CARVE_NO_MARK	a block is carved without a mark
 * LISTED_UNCHECKED	a block leaves the list without a look at its link
 * LISTED_STAYS		a block that leaves the list keeps its link
 * CHANCE_BLIND		the word of what looks listed is not read again when
 *			the list is searched
 * EMPTY_UNCHECKED	a pool goes when its count says that it is empty
 * BURY			memory is zeroed at the free, and the mark with it
 * NEVER_TWO		no excuse for two owners; NOT_STRADDLED, NOT_BOTH_OUT:
 *			one less
 */

/* A block's word. */
#define DATA	0	/* no mark */
#define BARE	1	/* the mark of a block in a cache */
#define LISTED	2	/* that of a block in the pool's list */

/* A store on its way: the word, and what it is a part of; not in the code */
#define WORD(s)		((s) & 3)
#define OUT		4	/* the block leaves a cache or the list */
#define PUT		8	/* a free */
#define STRADDLES	16	/* since its look, the block has gone on */
#define LOCKED		32	/* it was made under the class's lock */

#define BIT(b)		(1 << (b))
#define HAS(set, b)	((set) & BIT(b))
#define NONE		7

/* ---- each CPU's --------------------------------------------------------------- */
bit  irq_runs[2];
bit  busy[2];
byte nr[2];
byte magazine[2 * CAP];
byte nr_stores[2];
byte store_block[4];
byte store_what[4];

/* ---- everybody's ---------------------------------------------------------------- */
byte word[4];
byte virgin = BIT(NBLK) - 1;	/* never carved */
byte list;			/* the pool's free blocks */
byte nr_used;			/* its other carved blocks, as it counts them */
byte nr_depot;			/* blocks of its one magazine */
byte depot[CAP];
bit  quarantined;
byte locked = NONE;		/* the CPU that has the class's lock */

/* ---- not in the code ---------------------------------------------------------- */
byte held;			/* blocks in somebody's hands */
byte freed;			/* a free has returned, and not handed out since */
byte scribbled;			/* free, and somebody wrote over the mark ... */
byte hurt;			/* ... and nobody was at it just then */
byte taking[4] = NONE;		/* block of a context between look and store ... */
byte putting[4] = NONE;		/* ... of a free */
byte straddles[4];		/* what became of it since */
bit  both_out;			/* an excuse for two owners, see README.rst */
bit  straddled;			/* the other one */
byte bad_left = NBAD;
byte twin = NONE;		/* the block that may be freed twice at once */
bit  twin_returned;
byte nr_done;

/* What may become of a block. */
#define HANDED_OUT	1
#define GIVEN_BACK	2	/* to the pool's list */

#define FIRST	0	/* frees: the owner's */
#define AGAIN	1	/* again, later */
#define AT_ONCE	2	/* again, in the same instant */

#if defined(NEVER_TWO)
#define EXCUSED	false
#elif defined(NOT_STRADDLED)
#define EXCUSED	both_out
#elif defined(NOT_BOTH_OUT)
#define EXCUSED	straddled
#else
#define EXCUSED	(both_out || straddled)
#endif

/* ---- store buffers ------------------------------------------------------------ */
#define AT(c, i, b)	(nr_stores[c] > i && store_block[2 * (c) + i] == b)
#define PENDING(c, b)	(AT(c, 0, b) || AT(c, 1, b))
#define WHAT_AT(c, i, b, what) \
	(AT(c, i, b) && (store_what[2 * (c) + i] & (what)))
#define PENDING_AS(c, b, what) \
	(WHAT_AT(c, 0, b, what) || WHAT_AT(c, 1, b, what))
/* What a CPU sees: its own stores, the last one first. */
#define SEEN(c, b) \
	(AT(c, 1, b) -> WORD(store_what[2 * (c) + 1]) : \
	(AT(c, 0, b) -> WORD(store_what[2 * (c)]) : word[b]))
#define SEES_STRADDLING(c, b) \
	(AT(c, 1, b) -> store_what[2 * (c) + 1] & STRADDLES : \
	(AT(c, 0, b) -> store_what[2 * (c)] & STRADDLES : 0))

/* @b leaves a cache, and context @y can see it from now on. */
inline straddled_by(b, how, y)
{
	if
	:: putting[y] == b -> straddles[y] = straddles[y] | how
	:: else
	fi
}

/* The same for all of the other CPU. */
inline straddled_beyond(c, b, how)
{
	straddled_by(b, how, 2 * (1 - c));
	straddled_by(b, how, 2 * (1 - c) + 1);
	if
	:: WHAT_AT(1 - c, 0, b, PUT) ->
		store_what[2 * (1 - c)] = store_what[2 * (1 - c)] | STRADDLES
	:: else
	fi;
	if
	:: WHAT_AT(1 - c, 1, b, PUT) ->
		store_what[2 * (1 - c) + 1] =
			store_what[2 * (1 - c) + 1] | STRADDLES
	:: else
	fi
}

inline drain_one(c)
{
	word[store_block[2 * c]] = WORD(store_what[2 * c]);
	if
	:: WORD(store_what[2 * c]) == DATA && (store_what[2 * c] & OUT) ->
		scribbled = scribbled & ~BIT(store_block[2 * c]);
		straddled_beyond(c, store_block[2 * c], HANDED_OUT)
	:: WORD(store_what[2 * c]) == LISTED ->
		straddled_beyond(c, store_block[2 * c], GIVEN_BACK)
	:: store_what[2 * c] & STRADDLES -> straddled = 1
	:: else
	fi;
	if
	:: (store_what[2 * c] & PUT) && twin == store_block[2 * c] &&
	   twin_returned ->
		twin = NONE;
		twin_returned = 0
	:: else
	fi;
	store_block[2 * c] = store_block[2 * c + 1];
	store_what[2 * c] = store_what[2 * c + 1];
	store_block[2 * c + 1] = 0;
	store_what[2 * c + 1] = 0;
	nr_stores[c]--
}

inline drain(c)
{
	do
	:: nr_stores[c] > 0 -> drain_one(c)
	:: else -> break
	od
}

#define cpu	(me >> 1)	/* of context @me: a task, or an interrupt */
#define ROOM	nr_stores[cpu] < DEPTH

inline store(b, what)
{
	store_block[2 * cpu + nr_stores[cpu]] = b;
	store_what[2 * cpu + nr_stores[cpu]] = what;
	nr_stores[cpu]++
}

active proctype memory()
{
end_of_time:
	do
	:: d_step { nr_stores[0] > 0 -> drain_one(0); skip }
	:: d_step { nr_stores[1] > 0 -> drain_one(1); skip }
	od
}

/* ---- claims -------------------------------------------------------------------- */
inline hand_out(b)
{
	assert(!HAS(held, b) || EXCUSED);
	held = held | BIT(b);
	freed = freed & ~BIT(b);
	/* Who was interrupted here in the middle of a free. */
	straddled_by(b, HANDED_OUT, me ^ 1)
}

/* A block's look was good: is somebody else just taking it out? */
inline begin_take(b)
{
	assert(!HAS(hurt, b));
	if
	:: taking[me ^ 1] == b || taking[me ^ 2] == b || taking[me ^ 3] == b ||
	   PENDING_AS(1 - cpu, b, OUT) ->
		both_out = 1
	:: else
	fi;
	if
	:: SEES_STRADDLING(cpu, b) -> straddled = 1
	:: else
	fi;
	taking[me] = b
}

inline begin_put(b)
{
	assert(kind != AGAIN || HAS(scribbled, b));
	hurt = hurt & ~BIT(b)
}

inline put_out_of_use()
{
	quarantined = 1;
	list = 0
}

#define IS_LISTED(b)	(b >= NBLK || HAS(virgin, b) || SEEN(cpu, b) == LISTED)
#ifdef EMPTY_UNCHECKED
#define ALL_LISTED	true
#else
#define ALL_LISTED	(IS_LISTED(0) && IS_LISTED(1) && \
			 IS_LISTED(2) && IS_LISTED(3))
#endif

/*
 * One used block less. A pool that is empty goes, so nobody may have a block of
 * it; then there is a new one.
 */
inline count_back()
{
	if
	:: nr_used > 1 -> nr_used--
	:: nr_used <= 1 && ALL_LISTED ->
		assert(held == 0 || EXCUSED);
		drain(cpu);
		nr_used = 0;
		list = 0;
		virgin = BIT(NBLK) - 1;
		quarantined = 0;
		freed = 0;
		for (other : 0 .. NBLK - 1) {
			word[other] = DATA;
			straddled_beyond(cpu, other, HANDED_OUT);
			straddled_by(other, HANDED_OUT, me ^ 1)
		}
	:: nr_used <= 1 && !ALL_LISTED -> put_out_of_use()
	fi
}

/* What clients did can be an excuse; without it there is none. */
#if defined(TWIN) || (defined(SCRIBBLE) && defined(SECOND))
#define UNEXPECTED(what)	assert(bad_left < NBAD)
#elif defined(SCRIBBLE)
#define UNEXPECTED(what)	assert(what && bad_left < NBAD)
#else
#define UNEXPECTED(what)	assert(false)
#endif

inline pick_from(set, b)
{
	if
	:: HAS(set, 0) -> b = 0
	:: HAS(set, 1) -> b = 1
	:: HAS(set, 2) -> b = 2
	:: HAS(set, 3) -> b = 3
	fi
}

inline lowest_of(set, b)
{
	b = 0;
	do
	:: !HAS(set, b) -> b++
	:: else -> break
	od
}

/* ---- steps ---------------------------------------------------------------------- */
#define STEP	((me & 1) || !irq_runs[cpu])
#define LOCK_IS_FREE \
	(locked == NONE && \
	 !(nr_stores[1 - cpu] > 0 && store_what[2 * (1 - cpu)] & LOCKED) && \
	 !(nr_stores[1 - cpu] > 1 && store_what[2 * (1 - cpu) + 1] & LOCKED))
#define IS_IN(a, b)	(a[0] == b || a[1] == b || a[2] == b || a[3] == b)
#define MAG(i)	magazine[cpu * CAP + (i)]

inline lock()
{
	drain(cpu);
	locked = cpu
}

inline unlock()
{
	locked = NONE
}

inline pop(b)
{
	nr[cpu]--;
	b = MAG(nr[cpu]);
	MAG(nr[cpu]) = 0
}

inline push(b)
{
	MAG(nr[cpu]) = b;
	nr[cpu]++
}

inline end()
{
	if
	:: me & 1 -> irq_runs[cpu] = 0
	:: else
	fi;
	putting[me] = NONE;
	straddles[me] = 0;
	block = 0;
	other = 0;
	kind = FIRST;
	in_cache = 0;
	give_all = 0;
	if
	:: left == 0 -> nr_done++
	:: else
	fi;
	goto end_idle
}

inline returned()
{
	freed = freed | BIT(block);
	free_over()
}

/* The first of two frees at once is over when everybody knows. */
inline free_over()
{
	if
	:: twin == block && kind == FIRST && !PENDING_AS(cpu, block, PUT) ->
		twin = NONE;
		twin_returned = 0
	:: twin == block && kind == FIRST && PENDING_AS(cpu, block, PUT) ->
		twin_returned = 1
	:: else
	fi
}

/*
 * The block has got a new owner since this free began, and that can be seen: to
 * free it is another fault, of which nobody can tell.
 */
inline leave_to_owner()
{
	if
	:: straddles[me] & HANDED_OUT ->
		assert(bad_left < NBAD);
		free_over();
		end()
	:: else
	fi
}

/* What the other CPU's clients have done they tell when it can be seen. */
inline keep_known(set, what)
{
	other = set;
	for (block : 0 .. NBLK - 1) {
		if
		:: PENDING_AS(1 - cpu, block, what) -> other = other & ~BIT(block)
		:: else
		fi
	}
	block = 0;
	if
	:: other == 0 -> end()
	:: else
	fi
}

proctype context(byte me; byte left)
{
	byte block;
	byte other;
	byte kind;
	bit in_cache;		/* the block is still in the magazine */
	bit give_all;		/* 0: only @block goes to the pool */

end_idle:
	atomic {
		left > 0;
		if
		:: !(me & 1) && !irq_runs[cpu]
		:: (me & 1) && locked != cpu -> irq_runs[cpu] = 1
		fi;
		left--;
		if
		:: true -> goto alloc
		:: held != 0 ->
			keep_known(held, OUT);
			pick_from(other, block);
			other = 0;
			held = held & ~BIT(block);
#ifdef TWIN
			if
			:: bad_left > 0 && twin == NONE -> twin = block
			:: true
			fi;
#endif
#ifdef LOOKALIKE
			if
			:: !PENDING(0, block) && !PENDING(1, block) ->
				word[block] = LISTED
			:: true
			fi;
#endif
			putting[me] = block;
			goto free
#ifdef TWIN
		:: bad_left > 0 && twin != NONE &&
		   !PENDING_AS(1 - cpu, twin, OUT) &&
		   (!twin_returned || PENDING_AS(1 - cpu, twin, PUT)) ->
			bad_left--;
			kind = AT_ONCE;
			block = twin;
			twin = NONE;
			twin_returned = 0;
			putting[me] = block;
			goto free
#endif
#ifdef SECOND
		:: bad_left > 0 && freed != 0 ->
			keep_known(freed, PUT);
			pick_from(other, block);
			other = 0;
			bad_left--;
			kind = AGAIN;
			putting[me] = block;
			goto free
#endif
#ifdef SCRIBBLE
		:: bad_left > 0 && freed != 0 ->
			pick_from(freed, block);
			if
			:: word[block] != DATA &&
			   !PENDING(0, block) && !PENDING(1, block) ->
				bad_left--;
				scribbled = scribbled | BIT(block);
				if
				:: !IS_IN(taking, block) && !IS_IN(putting, block) ->
					hurt = hurt | BIT(block)
				:: else
				fi;
				word[block] = DATA
			:: else
			fi;
			end()
#endif
		:: !busy[cpu] && nr[cpu] > 0 -> goto trim
		:: nr_depot > 0 -> goto trim_depot
		fi
	}

	/* --- allocation: out of the magazine --------------------------------- */
alloc:
	atomic { STEP ->
		if
		:: busy[cpu] || nr[cpu] == 0 -> goto alloc_slow
		:: else ->
			busy[cpu] = 1;
			in_cache = 1;
			block = MAG(nr[cpu] - 1)
		fi
	}
take:
	atomic { STEP ->
#ifndef TAKE_UNCHECKED
		if
		:: SEEN(cpu, block) != BARE ->
			if
			:: in_cache -> pop(other); other = 0; busy[cpu] = 0
			:: else
			fi;
			in_cache = 0;
			goto stray
		:: else
		fi;
#endif
		begin_take(block)
	}
	atomic { STEP && ROOM ->
		taking[me] = NONE;
#if !defined(TAKE_NO_CLEAR) && !defined(CLEAR_LATE)
		store(block, DATA | OUT);
#endif
		if
		:: in_cache -> pop(other); other = 0; busy[cpu] = 0
		:: else
		fi;
		hand_out(block)
#ifndef CLEAR_LATE
		; end()
#endif
	}
#ifdef CLEAR_LATE
	atomic { STEP && ROOM -> store(block, DATA | OUT); end() }
#endif
stray:
	atomic { STEP && LOCK_IS_FREE ->
		UNEXPECTED(true);
		put_out_of_use();
		goto alloc_slow
	}

	/* --- allocation: the magazine was empty or busy ---------------------- */
alloc_slow:
	atomic { STEP && LOCK_IS_FREE ->
		lock();
		if
		:: !busy[cpu] && nr[cpu] > 0 -> pop(block); unlock(); goto take
		:: !busy[cpu] && nr[cpu] == 0 && nr_depot > 0 -> d_step {
			do
			:: nr_depot > 0 ->
				nr_depot--;
				push(depot[nr_depot]);
				depot[nr_depot] = 0
			:: else -> break
			od;
			pop(block);
			unlock()
			}
			goto take
		:: else
		fi;
		if
		:: list != 0 -> skip
		:: list == 0 && virgin != 0 && !quarantined ->
			lowest_of(virgin, block);
			virgin = virgin & ~BIT(block);
			nr_used++;
			goto carve
		:: list == 0 && (virgin == 0 || quarantined) ->
			unlock();
			end()		/* the code takes a new pool */
		fi
	}
	/* As many as the magazine has room for; the last one is for the client. */
take_listed:
	atomic { STEP ->
		lowest_of(list, block);
#ifndef LISTED_UNCHECKED
		if
		:: SEEN(cpu, block) != LISTED ->
			UNEXPECTED(true);
			put_out_of_use();
			if
			:: !busy[cpu] && nr[cpu] > 0 ->
				pop(block);
				unlock();
				goto take
			:: else -> unlock(); end()
			fi
		:: else
		fi;
#endif
		begin_take(block)
	}
	atomic { STEP && ROOM ->
		taking[me] = NONE;
#ifndef LISTED_STAYS
		store(block, BARE | OUT | LOCKED);
#endif
		list = list & ~BIT(block);
		nr_used++;
		if
		:: !busy[cpu] && nr[cpu] < CAP - 1 && list != 0 ->
			push(block);
			goto take_listed
		:: else -> unlock(); goto take
		fi
	}
carve:
	atomic { STEP && ROOM ->
#ifndef CARVE_NO_MARK
		store(block, BARE | LOCKED);
#endif
		unlock();
		goto take
	}

	/* --- free --------------------------------------------------------------- */
free:
	atomic { STEP ->
#ifdef ATOMIC
		d_step { drain(cpu); skip }
#endif
		leave_to_owner();
#ifndef PUT_UNCHECKED
		if
		:: SEEN(cpu, block) == BARE -> goto refused
		:: SEEN(cpu, block) == LISTED -> goto chance
		:: else
		fi;
#endif
		begin_put(block)
#ifdef ATOMIC
		; word[block] = BARE;
		putting[me] = NONE;
#ifdef BURY
		goto bury
#else
		goto cache
#endif
#endif
	}
put:
	atomic { STEP && ROOM ->
		store(block, BARE | PUT | (straddles[me] -> STRADDLES : 0));
		putting[me] = NONE;
		straddles[me] = 0
	}
#ifdef BURY
bury:
	atomic { STEP && ROOM -> store(block, DATA) }
	atomic { STEP && ROOM -> store(block, BARE) }
#endif
cache:
	atomic { STEP ->
		if
		:: !busy[cpu] && nr[cpu] < CAP ->
			push(block);
			returned();
			end()
		:: !busy[cpu] && nr[cpu] == CAP -> give_all = 1
		:: busy[cpu]
		fi
	}
	/* To the depot, if that has room; else to the pool. */
	atomic { STEP && LOCK_IS_FREE ->
		lock();
		if
		:: give_all && nr_depot == 0 -> d_step {
			do
			:: nr[cpu] > 0 ->
				pop(other);
				depot[nr_depot] = other;
				nr_depot++
			:: else -> break
			od;
			other = 0;
			push(block);
			unlock();
			returned()
			}
			end()
		:: give_all && nr_depot > 0 -> goto give
		:: !give_all -> other = block; goto give_look
		fi
	}
	/* It looks as if it were in the list: is it? */
chance:
	atomic { STEP && LOCK_IS_FREE ->
		lock();
		unlock();
		leave_to_owner();
		if
		:: quarantined || HAS(list, block) -> goto refused
#ifndef CHANCE_BLIND
		:: !quarantined && !HAS(list, block) &&
		   SEEN(cpu, block) != LISTED -> goto refused
#endif
		:: else
		fi;
		begin_put(block);
#ifdef CHANCE_BLIND
		goto put
#else
		store(block, BARE | PUT | LOCKED);
		putting[me] = NONE;
		goto cache
#endif
	}
refused:
	atomic { STEP ->
		if
		:: kind == FIRST -> UNEXPECTED(false)
		:: else
		fi;
		free_over();
		end()
	}

	/* --- from a cache to the pool; the lock is held ----------------------- */
give:
	atomic { STEP ->
		if
		:: nr[cpu] > 0 -> pop(other)
		:: else ->
			unlock();
			give_all = 0;
			if
			:: kind == NONE -> end()	/* a trim */
			:: else -> goto cache
			fi
		fi
	}
give_look:
	atomic { STEP ->
#ifndef GIVE_UNCHECKED
		if
		:: SEEN(cpu, other) != BARE ->
			UNEXPECTED(true);
			put_out_of_use();
			goto given
		:: else
		fi;
#endif
		begin_take(other)
	}
	atomic { STEP && ROOM ->
		taking[me] = NONE;
		store(other, LISTED | OUT | LOCKED);
		straddled_by(other, GIVEN_BACK, me ^ 1);
		if
		:: quarantined -> skip
		:: else -> list = list | BIT(other)
		fi;
		count_back()
	}
given:
	atomic { STEP ->
		other = 0;
		if
		:: give_all -> goto give
		:: else ->
			unlock();
			returned();
			end()
		fi
	}

	/* --- a trim: the magazine by an interrupt of its CPU, or the depot ---- */
trim:
	atomic { STEP && LOCK_IS_FREE ->
		if
		:: busy[cpu] -> end()
		:: else
		fi;
		lock();
		kind = NONE;
		give_all = 1;
		goto give
	}
trim_depot:
	atomic { STEP && LOCK_IS_FREE ->
		if
		:: busy[cpu] || nr[cpu] > 0 || nr_depot == 0 -> end()
		:: else
		fi;
		lock();
		d_step {
			do
			:: nr_depot > 0 ->
				nr_depot--;
				push(depot[nr_depot]);
				depot[nr_depot] = 0
			:: else -> break
			od
		}
		kind = NONE;
		give_all = 1;
		goto give
	}
}

/* When all is quiet every block is in one place, with the mark of that place. */
#if !defined(TWIN) && !defined(SCRIBBLE)
active proctype at_rest()
{
	byte seen;
	byte i;

	atomic {
		nr_done == 4 && nr_stores[0] == 0 && nr_stores[1] == 0;
		d_step {
			assert(locked == NONE && !busy[0] && !busy[1]);
			assert(!quarantined && !both_out && !straddled);
			assert((held & list) == 0 && (virgin & (held | list)) == 0);
			seen = held | list | virgin;
			for (i : 0 .. NBLK - 1) {
				assert(!HAS(held, i) || word[i] == DATA);
				assert(!HAS(list, i) || word[i] == LISTED)
			}
			for (i : 0 .. CAP - 1) {
				if
				:: i < nr[0] ->
					assert(!HAS(seen, magazine[i]));
					assert(word[magazine[i]] == BARE);
					seen = seen | BIT(magazine[i])
				:: else
				fi;
				if
				:: i < nr[1] ->
					assert(!HAS(seen, magazine[CAP + i]));
					assert(word[magazine[CAP + i]] == BARE);
					seen = seen | BIT(magazine[CAP + i])
				:: else
				fi;
				if
				:: i < nr_depot ->
					assert(!HAS(seen, depot[i]));
					assert(word[depot[i]] == BARE);
					seen = seen | BIT(depot[i])
				:: else
				fi
			}
			assert(seen == BIT(NBLK) - 1)
		}
	}
}
#endif

init {
	atomic {
		run context(0, NOPS);
		run context(1, NIRQ);
		run context(2, NOPS);
		run context(3, NIRQ)
	}
}
