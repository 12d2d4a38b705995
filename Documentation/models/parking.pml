/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks that wait for a grace period: one pool, clients on two CPUs that free
 * blocks at once or after a grace period, allocate them again, and sometimes
 * free one twice; and the sweep, on a third.
 *
 * README.rst beside this file says what is shown and how the steps map to the
 * code; scripts/model.sh runs it.
 *
 * One atomic { } block is one step of a CPU. A plain store goes to the CPU's
 * store buffer, from where it reaches memory at any time later, in order. An
 * instruction with a lock prefix, and so to take a lock, empties it.
 */

/* ---- size ------------------------------------------------------------------ */
#ifndef NBLK
#define NBLK	2	/* blocks of the pool, at most 2 */
#endif
#ifndef NOPS
#define NOPS	2	/* operations of each client */
#endif
#ifndef NSWEEPS
#define NSWEEPS	2	/* sweeps beside them; one more at the end */
#endif
#ifndef NBAD
#define NBAD	0	/* frees of what is not the client's */
#endif
#define DEPTH	3	/* places in a store buffer */

/*
 * ---- what clients do that they must not ----------------------------------------
 * SECOND	they free a block again after the first free has returned, at
 *		once or after a grace period
 * TWIN		two of them free one block in the same instant, likewise
 *
 * ---- what is allowed -----------------------------------------------------------
 * ATOMIC	kheap_free() looks and stores in one step: debug flag F
 *
 * ---- broken on purpose ---------------------------------------------------------
 * NO_RECHECK	who parks does not look at the mark after the bit is set
 * NO_BARRIER	who parks may read the flag before others see the bit
 * FLAG_BLINDLY	who parks does not look at the flag
 * BITS_FIRST	the flag is cleared after the bits were looked at
 * LIMIT_LATE	the flag is set before the limit is taken away
 * BIT_FIRST	the sweep clears the bit before the block has its mark
 * SWEEP_BLINDLY	the sweep does not look whether the bit is still there
 * NO_BIT	a free does not look at the bit
 * NEVER_TWO	no excuse for two owners
 */

#define BIT(b)		(1 << (b))
#define HAS(set, b)	((set) & BIT(b))
#define NONE		7

/* What may be on its way to memory. */
#define LIMIT		2	/* after the words of two blocks: frees are fast */
#define FLAG		3	/* pool->parking */
#define BIT_OF(b)	(4 + (b))	/* a parked bit, with NO_BARRIER */
#define VALUE		16	/* what is stored: this for 1 */

#define CLIENTS		2
#define SWEEP		2	/* the third CPU */

/* ---- shared memory ------------------------------------------------------------ */
byte mem[4];			/* a word: 1 if it is the mark */
byte bits;			/* parked blocks */
byte locked = NONE;		/* the CPU that has the class's lock ... */
byte last = SWEEP;		/* ... or had it last */

/* ---- each CPU's ----------------------------------------------------------------- */
byte cached[3];			/* its free blocks */
byte nr_stores[3];
byte stores[3 * DEPTH];

/* ---- not in the code ---------------------------------------------------------- */
byte held;			/* blocks in somebody's hands */
byte freed;			/* free or parked, and the call has returned */
byte inside;			/* CPUs in a read section */
byte awaited;			/* those that a grace period waits for */
byte about[CLIENTS] = NONE;	/* block of a free, from its start ... */
bit  has_owner[CLIENTS];	/* ... which has got a new owner since */
byte freeing[CLIENTS] = NONE;	/* that of kheap_free(), from its first look */
byte twin = NONE;		/* the block that may be freed twice at once */
bit  twin_returned;
bit  twin_rcu;
bit  window;			/* the excuse for two owners, see README.rst */
byte gathered;			/* what the sweep is about */
byte late;			/* parked since it began */
bit  undone;			/* one of gathered was not parked after all */
byte bad_left = NBAD;
byte nr_done;

#define FIRST	0	/* frees: the owner's */
#define AGAIN	1	/* again, later */
#define AT_ONCE	2	/* again, in the same instant */

#ifdef NEVER_TWO
#define EXCUSED	false
#else
#define EXCUSED	window
#endif

/* ---- store buffers ------------------------------------------------------------ */
#define STORE_AT(c, i)	stores[DEPTH * (c) + (i)]
#define AT(c, i, v)	(nr_stores[c] > (i) && (STORE_AT(c, i) & 15) == (v))
#define PENDING(c, v)	(AT(c, 0, v) || AT(c, 1, v) || AT(c, 2, v))
/* What a CPU sees: its own stores, the last one first. */
#define SEEN(c, v) \
	(AT(c, 2, v) -> STORE_AT(c, 2) / VALUE : \
	(AT(c, 1, v) -> STORE_AT(c, 1) / VALUE : \
	(AT(c, 0, v) -> STORE_AT(c, 0) / VALUE : mem[v])))
#define SEES_BIT(c, b)	(HAS(bits, b) || PENDING(c, BIT_OF(b)))
#define ROOM		nr_stores[me] < DEPTH

inline drain_one(c)
{
	if
	:: c < CLIENTS && STORE_AT(c, 0) == about[1 - c] -> has_owner[1 - c] = 1
	:: else
	fi;
	if
	:: (STORE_AT(c, 0) & 15) < 4 ->
		mem[STORE_AT(c, 0) & 15] = STORE_AT(c, 0) / VALUE
	:: else ->
		bits = bits | BIT((STORE_AT(c, 0) & 15) - 4)
	fi;
	STORE_AT(c, 0) = STORE_AT(c, 1);
	STORE_AT(c, 1) = STORE_AT(c, 2);
	STORE_AT(c, 2) = 0;
	nr_stores[c]--;
	if
	:: twin_returned && nr_stores[c] == 0 -> twin = NONE; twin_returned = 0
	:: else
	fi
}

inline drain(c)
{
	do
	:: nr_stores[c] > 0 -> drain_one(c)
	:: else -> break
	od
}

inline store(v, value)
{
	STORE_AT(me, nr_stores[me]) = (v) + VALUE * (value);
	nr_stores[me]++
}

/* As smp_store_mb(). */
inline store_at_once(v, value)
{
	drain(me);
	mem[v] = value
}

active proctype memory()
{
end_of_time:
	do
	:: d_step { nr_stores[0] > 0 -> drain_one(0); skip }
	:: d_step { nr_stores[1] > 0 -> drain_one(1); skip }
	:: d_step { nr_stores[2] > 0 -> drain_one(2); skip }
	od
}

#define LOCK_IS_FREE	(locked == NONE && (last == me || nr_stores[last] == 0))

inline lock()
{
	drain(me);
	locked = me
}

inline unlock()
{
	locked = NONE;
	last = me
}

inline pick_from(set, b)
{
	if
	:: HAS(set, 0) -> b = 0
	:: HAS(set, 1) -> b = 1
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

/* ---- clients ----------------------------------------------------------------- */
#define OTHER		(1 - me)
/*
 * The block has got a new owner since this free began, and that can be seen: to
 * free it is another fault, of which nobody can tell.
 */
#define IS_ANOTHERS	has_owner[me]
#define MAY_BE_REFUSED	(kind != FIRST || window || bad_left < NBAD)

inline leave()
{
	inside = inside & ~BIT(me);
	awaited = awaited & ~BIT(me)
}

inline end()
{
	freeing[me] = NONE;
	about[me] = NONE;
	has_owner[me] = 0;
	rcu = 0;
	if
	:: twin == block && kind == FIRST && nr_stores[me] == 0 -> twin = NONE
	:: twin == block && kind == FIRST && nr_stores[me] > 0 ->
		twin_returned = 1
	:: else
	fi;
	block = 0;
	kind = FIRST;
	leave();
	if
	:: left == 0 -> nr_done++
	:: else
	fi;
	goto end_idle
}

inline unpark_again()
{
	drain(me);
	bits = bits & ~BIT(block);
	if
	:: HAS(gathered, block) -> undone = 1
	:: else
	fi
}

proctype client(byte me; byte left)
{
	byte block;
	byte kind;
	byte from;		/* whose cache */
	bit rcu;		/* kheap_free_rcu() */

end_idle:
	atomic {
		left > 0;
		left--;
		if
		:: cached[me] != 0 -> from = me
		:: cached[OTHER] != 0 && nr_stores[OTHER] == 0 -> from = OTHER
		:: cached[SWEEP] != 0 && nr_stores[SWEEP] == 0 -> from = SWEEP
		:: held != 0 && nr_stores[OTHER] == 0 ->
			pick_from(held, block);
			held = held & ~BIT(block);
			if
			:: true
			:: rcu = 1
			fi;
#ifdef TWIN
			if
			:: bad_left > 0 && twin == NONE ->
				twin = block;
				twin_rcu = rcu
			:: true
			fi;
#endif
			about[me] = block;
			goto some_free
#ifdef TWIN
		:: bad_left > 0 && twin != NONE &&
		   (about[OTHER] == twin || nr_stores[OTHER] > 0) ->
			bad_left--;
			kind = AT_ONCE;
			block = twin;
			/* Two of kheap_free() are what mark.pml is about. */
			if
			:: twin_rcu
			:: rcu = 1
			fi;
			twin = NONE;
			twin_returned = 0;
			about[me] = block;
			goto some_free
#endif
#ifdef SECOND
		:: bad_left > 0 && freed != 0 && nr_stores[OTHER] == 0 ->
			pick_from(freed, block);
			bad_left--;
			kind = AGAIN;
			if
			:: true
			:: rcu = 1
			fi;
			about[me] = block;
			goto some_free
#endif
		:: true -> end()
		fi;
		/* An allocation; mark.pml looks at it more closely. */
		pick_from(cached[from], block);
		cached[from] = cached[from] & ~BIT(block);
		from = 0
	}
	atomic { ROOM ->
		if
		:: SEEN(me, block) == 1 ->
			store(block, 0);
			assert(!HAS(held, block) || EXCUSED);
			held = held | BIT(block);
			freed = freed & ~BIT(block)
		:: else -> assert(window)
		fi;
		end()
	}
some_free:
	atomic {
		if
		:: rcu -> inside = inside | BIT(me); goto park
		:: else
		fi
	}

	/* --- kheap_free() ------------------------------------------------------- */
free:
	atomic {
		freeing[me] = block;
		if
		:: SEEN(me, LIMIT) -> goto look
		:: else
		fi
	}
#ifndef NO_BIT
	atomic {
		if
		:: SEES_BIT(me, block) -> goto refused
		:: else
		fi
	}
#endif
look:
	atomic {
#ifdef ATOMIC
		d_step { drain(me); skip }
#endif
		if
		:: IS_ANOTHERS -> end()
		:: else
		fi;
		if
		:: SEEN(me, block) == 1 -> goto refused
		:: else
		fi;
		assert(kind != AGAIN || window)
#ifndef ATOMIC
	}
	atomic { ROOM ->
		store(block, 1);
#else
		;
		mem[block] = 1;
#endif
		assert(!HAS(cached[me], block) || EXCUSED);
		cached[me] = cached[me] | BIT(block);
		freed = freed | BIT(block);
		end()
	}

	/* --- kheap_free_rcu() ---------------------------------------------------- */
park:
	atomic {
		if
		:: SEEN(me, block) == 1 -> goto refused
		:: else
		fi
	}
	atomic { ROOM ->
		if
		:: SEES_BIT(me, block) -> goto refused
		:: else
		fi;
#ifdef NO_BARRIER
		store(BIT_OF(block), 1);
#else
		drain(me);
		bits = bits | BIT(block);
#endif
		late = late | BIT(block)
	}
	atomic {
#ifdef FLAG_BLINDLY
		goto recheck;
#endif
		if
		:: SEEN(me, FLAG) -> goto recheck
		:: else
		fi
	}
	atomic { LOCK_IS_FREE -> lock() }
#ifdef LIMIT_LATE
	atomic { store_at_once(FLAG, 1) }
	atomic { ROOM -> store(LIMIT, 0) }
#else
	atomic { ROOM -> store(LIMIT, 0) }
	atomic { store_at_once(FLAG, 1) }
#endif
	atomic { unlock() }
recheck:
	atomic {
#ifndef NO_RECHECK
		if
		:: SEEN(me, block) == 1 ->
			unpark_again();
			goto refused
		:: else
		fi;
#endif
		if
		:: IS_ANOTHERS ->	/* as if it had not been */
			unpark_again();
			end()
		:: else
		fi;
		assert(kind != AGAIN || window);
		/* A free has looked, and its mark cannot be seen. */
		if
		:: freeing[OTHER] == block || PENDING(OTHER, block) ->
			window = 1
		:: else
		fi;
		freed = freed | BIT(block);
		end()
	}
refused:
	atomic {
		assert(MAY_BE_REFUSED);
		end()
	}
}

/* ---- the sweep ------------------------------------------------------------------ */
active proctype sweep()
{
	byte me = SWEEP;
	byte left = NSWEEPS;
	byte block;
	byte ready;		/* marked, in no cache yet */
	bit none;

	do
	:: atomic { left > 0 -> left-- };
again:
		atomic { gathered = bits; late = 0; awaited = inside }
		atomic { awaited == 0; drain(me) }
		/*
		 * The bits of a word are read in one step, and those of blocks
		 * that have got our mark are cleared in one.
		 */
		atomic {
#ifndef SWEEP_BLINDLY
			gathered = gathered & bits;
#endif
			assert((gathered & late) == 0 || undone);
#ifdef BIT_FIRST
			drain(me);
			bits = bits & ~gathered
#endif
		}
		do
		:: gathered != 0 ->
			atomic {
				lowest_of(gathered, block);
				gathered = gathered & ~BIT(block);
				if
				:: SEEN(me, block) == 1 ->
					assert(window);
					goto unpark
				:: else ->
					assert(!HAS(held, block) || EXCUSED)
				fi
			}
			atomic { ROOM ->
				store(block, 1);
				ready = ready | BIT(block);
				goto next
			}
unpark:
			/* At once: it is another's, who may park it again. */
			atomic { drain(me); bits = bits & ~BIT(block) }
next:
			skip
		:: gathered == 0 -> break
		od;
#ifndef BIT_FIRST
		atomic { drain(me); bits = bits & ~ready };
#endif
		/* Do frees of the pool's blocks need no more questions? */
		if
		:: SEEN(me, FLAG) -> skip
		:: else -> goto swept
		fi;
		atomic { LOCK_IS_FREE -> lock() }
#ifdef BITS_FIRST
		atomic { none = (bits == 0) }
		atomic { store_at_once(FLAG, 0) }
#else
		atomic { store_at_once(FLAG, 0) }
		atomic { none = (bits == 0) }
#endif
		atomic { ROOM ->
			if
			:: none -> store(LIMIT, 1)
			:: else -> store(FLAG, 1)
			fi;
			none = 0
		}
		atomic { unlock() }
swept:
		atomic {
			cached[SWEEP] = cached[SWEEP] | ready;
			ready = 0
		}
	:: left == 0 && nr_done == CLIENTS && bits != 0 -> goto again
	:: left == 0 && nr_done == CLIENTS && bits == 0 &&
	   nr_stores[0] + nr_stores[1] + nr_stores[2] == 0 -> break
	od;

	/* All is quiet: nothing waits, and no block is in two places. */
	assert(locked == NONE && mem[FLAG] == 1 - mem[LIMIT]);
	assert((held & (cached[0] | cached[1] | cached[2])) == 0 || EXCUSED);
#if NBAD == 0
	/* Else the flag may be set for nothing, until the next sweep. */
	assert(mem[FLAG] == 0);
	assert((held | cached[0] | cached[1] | cached[2]) == BIT(NBLK) - 1);
#endif
}

init {
	atomic {
		mem[LIMIT] = 1;
		held = BIT(NBLK) - 1;
		run client(0, NOPS);
		run client(1, NOPS)
	}
}
