/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The per-CPU cache's busy mark: one CPU's array of free blocks, used by two
 * tasks, a softirq and a hardirq that may interrupt one another at any step,
 * and drained from another CPU by an inter-processor interrupt. That CPU may also
 * ask whether anybody comes by, by an atomic exchange of an idle mark.
 *
 * README.rst beside this file says what is shown and how the steps map to the
 * code; scripts/model.sh runs it.
 *
 * One atomic { } block is one step of the CPU; an interrupt can come between
 * any two of them. To look at the mark and to set it are two steps, as they are
 * two instructions. What runs with interrupts off and under the class lock is
 * one step.
 */

/* ---- size ------------------------------------------------------------------ */
#ifndef NBLK
#define NBLK	3	/* blocks of the class, at most 8 */
#endif
#ifndef CAP
#define CAP	2	/* places in the array */
#endif
#ifndef NOPS
#define NOPS	2	/* allocations and frees of each task */
#endif
#ifndef NIRQ
#define NIRQ	2	/* softirqs, hardirqs; one allocation or free each */
#endif
#ifndef NDRAIN
#define NDRAIN	2	/* drains from the other CPU */
#endif
#ifndef NASK
#define NASK	1	/* questions of the other CPU */
#endif

/*
 * ---- broken on purpose --------------------------------------------------------
 * NO_MARK        no busy mark
 * MARK_LATE      the mark is set after the array was looked at
 * CLEAR_EARLY    the mark is cleared before the array is updated
 * SLOW_TOUCHES   the slow path fills and empties the array whatever the mark says
 * DRAIN_TOUCHES  the drain empties the array whatever the mark says
 * PREEMPTIBLE    preemption stays on
 * DRAIN_REMOTE   the drainer looks at the mark and the array from its own CPU
 * ASK_STORES     the question is written whatever the mark says
 */

#define TASK_A	0
#define TASK_B	1
#define SOFTIRQ	2
#define HARDIRQ	3
#define IPI	4
#define NOBODY	7
#define LEVEL(c) (c <= TASK_B -> 0 : (c == SOFTIRQ -> 1 : 2))
#define BIT(b)	(1 << (b))
#define HAS(set, b) ((set) & BIT(b))

/* ---- this CPU --------------------------------------------------------------- */
byte running = TASK_A;		/* who has the CPU */
byte preempt;			/* preemption is off while this is not 0 */
byte busy;			/* the mark */
#define IDLE	0
#define BUSY	1
#define ASKED	2		/* nobody's: the fast paths miss, others set it */
byte marker = NOBODY;		/* who set it; not in the code */
byte nr;			/* blocks in the array */
byte array[CAP];

/* ---- everybody's ---------------------------------------------------------------- */
byte pool;			/* free blocks of the class; under its lock */
byte held;			/* blocks that were handed out */
bit  ipi;			/* sent, not answered */
bit  refused;			/* the answer */
#define NR_CONTEXTS 4
byte nr_done;

#ifdef NO_MARK
#define SET_MARK	skip
#define CLEAR_MARK	skip
#else
#define SET_MARK	assert(busy != BUSY || ANYWAY); busy = BUSY; marker = me
#define CLEAR_MARK	busy = IDLE; marker = NOBODY
#endif
#ifdef PREEMPTIBLE
#define PREEMPT_OFF	skip
#define PREEMPT_ON	skip
#else
#define PREEMPT_OFF	preempt++
#define PREEMPT_ON	preempt--
#endif
#ifdef SLOW_TOUCHES
#define SLOW_MAY_TOUCH	true
#define ANYWAY		true
#else
#define SLOW_MAY_TOUCH	(busy != BUSY)
#define ANYWAY		false
#endif
#ifdef DRAIN_TOUCHES
#define DRAIN_MAY_TOUCH	true
#else
#define DRAIN_MAY_TOUCH	(busy != BUSY)
#endif

/* The claims. */
inline hand_out(b)
{
	assert(!HAS(held | pool, b));
	held = held | BIT(b)
}

inline touch()
{
	assert(busy != BUSY || marker == me)
}

inline pick_from(set, b)
{
	if
	:: HAS(set, 0) -> b = 0
	:: HAS(set, 1) -> b = 1
	:: HAS(set, 2) -> b = 2
	:: HAS(set, 3) -> b = 3
	:: HAS(set, 4) -> b = 4
	:: HAS(set, 5) -> b = 5
	:: HAS(set, 6) -> b = 6
	:: HAS(set, 7) -> b = 7
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

inline move_to_pool()
{
	nr--;
	assert(!HAS(pool, array[nr]));
	pool = pool | BIT(array[nr]);
	array[nr] = 0
}

inline move_to_array()
{
	lowest_of(pool, array[nr]);
	pool = pool & ~BIT(array[nr]);
	nr++
}

inline refill()
{
	do
	:: nr < CAP && pool != 0 -> move_to_array()
	:: else -> break
	od
}

inline give_back_a_run()
{
	do
	:: nr > CAP / 2 -> move_to_pool()
	:: else -> break
	od
}

inline empty_array()
{
	do
	:: nr > 0 -> move_to_pool()
	:: else -> break
	od
}

/* Only who has the CPU makes a step. */
#define STEP	running == me ->

/* The first step of all: preemption off, look at the mark. The second sets it. */
#define BEGIN(may_touch, otherwise) \
	PREEMPT_OFF; \
	if \
	:: may_touch -> skip \
	:: else -> PREEMPT_ON; goto otherwise \
	fi

/* An interrupt returns. */
inline end()
{
	block = 0;
	n = 0;
	if
	:: back != NOBODY -> running = back; back = NOBODY
	:: else
	fi;
	if
	:: left == 0 -> nr_done++
	:: else
	fi;
	goto end_idle
}

proctype context(byte me; byte left)
{
	byte back = NOBODY;	/* who was interrupted */
	byte block;
	byte n;

end_idle:
	atomic {
		left > 0;
		if
		:: LEVEL(me) == 0 && running == me
		:: LEVEL(me) > LEVEL(running) ->	/* an interrupt comes */
			back = running;
			running = me
		fi;
		left--;
		if
		:: true -> BEGIN(busy == IDLE, slow_alloc)
		:: held != 0 ->
			pick_from(held, block);
			held = held & ~BIT(block);
			BEGIN(busy == IDLE, slow_free);
			goto free
		fi
	}

	/* take the topmost block of the array */
#ifndef MARK_LATE
	atomic { STEP SET_MARK }
#endif
	atomic { STEP
		touch();
		n = nr;
#ifndef MARK_LATE
		if
		:: n == 0 -> goto none_left
		:: else
		fi
	}
#else
	}
	atomic { STEP
		SET_MARK;
		if
		:: n == 0 -> goto none_left
		:: else
		fi
	}
#endif
	atomic { STEP
		touch();
		block = array[n - 1]
	}
#ifdef CLEAR_EARLY
	atomic { STEP CLEAR_MARK }
#endif
	atomic { STEP
		touch();
		nr = n - 1;
		array[n - 1] = 0;
		hand_out(block)
#ifdef CLEAR_EARLY
		; PREEMPT_ON; end()
#endif
	}
	atomic { STEP
		CLEAR_MARK;
		PREEMPT_ON;
		end()
	}
none_left:
	atomic { STEP CLEAR_MARK; PREEMPT_ON }
	/* fill the array and take the topmost block, or take one of the pool's */
slow_alloc:
	atomic { STEP BEGIN(SLOW_MAY_TOUCH, pool_alloc) }
	atomic { STEP SET_MARK }
	atomic { STEP		/* interrupts off, class lock */
		touch();
		d_step { refill(); skip }
	}
	atomic { STEP
		touch();
		n = nr;
		if
		:: n == 0 -> goto no_refill
		:: else -> block = array[n - 1]
		fi
	}
	atomic { STEP
		touch();
		nr = n - 1;
		array[n - 1] = 0;
		hand_out(block)
	}
	atomic { STEP
		CLEAR_MARK;
		PREEMPT_ON;
		end()
	}
no_refill:
	atomic { STEP CLEAR_MARK; PREEMPT_ON }
pool_alloc:
	atomic { STEP		/* interrupts off, class lock */
		if
		:: pool != 0 -> d_step {
			lowest_of(pool, block);
			pool = pool & ~BIT(block);
			hand_out(block)
			}
		:: else			/* the code takes a new pool */
		fi;
		end()
	}

	/* put a block on top of the array */
free:
#ifndef MARK_LATE
	atomic { STEP SET_MARK }
#endif
	atomic { STEP
		touch();
		n = nr;
#ifndef MARK_LATE
		if
		:: n == CAP -> goto no_room
		:: else
		fi
	}
#else
	}
	atomic { STEP
		SET_MARK;
		if
		:: n == CAP -> goto no_room
		:: else
		fi
	}
#endif
	atomic { STEP
		touch();
		array[n] = block
	}
#ifdef CLEAR_EARLY
	atomic { STEP CLEAR_MARK }
#endif
	atomic { STEP
		touch();
		nr = n + 1
#ifdef CLEAR_EARLY
		; PREEMPT_ON; end()
#endif
	}
	atomic { STEP
		CLEAR_MARK;
		PREEMPT_ON;
		end()
	}
no_room:
	atomic { STEP CLEAR_MARK; PREEMPT_ON }

	/* make room in the array and put the block there, or into the pool */
slow_free:
	atomic { STEP BEGIN(SLOW_MAY_TOUCH, pool_free) }
	atomic { STEP SET_MARK }
	atomic { STEP		/* interrupts off, class lock */
		touch();
		d_step { give_back_a_run(); skip }
	}
	atomic { STEP
		touch();
		n = nr;
		assert(n < CAP);
		array[n] = block
	}
	atomic { STEP
		touch();
		nr = n + 1
	}
	atomic { STEP
		CLEAR_MARK;
		PREEMPT_ON;
		end()
	}
pool_free:
	atomic { STEP		/* interrupts off, class lock */
		assert(!HAS(pool, block));
		pool = pool | BIT(block);
		end()
	}
}

/* Preemption: the other task gets the CPU. */
active proctype scheduler()
{
end_of_time:
	do
	:: atomic { LEVEL(running) == 0 && preempt == 0 -> running = TASK_B - running }
	od
}

/* The other CPU's atomic exchange: it does nothing where the mark is set. */
active proctype asker()
{
	byte left = NASK;

end_idle:
	do
	:: atomic {
#ifdef ASK_STORES
		left > 0 ->
#else
		left > 0 && busy == IDLE ->
#endif
		left--;
		busy = ASKED
	}
	od
}

#ifndef DRAIN_REMOTE
/* Another interrupt of this CPU: it does its work or says that it cannot now. */
active proctype drain_interrupt()
{
	byte me = IPI;
	byte back;

end_idle:
	atomic { ipi && LEVEL(running) < LEVEL(IPI) -> back = running; running = IPI }
	atomic { STEP
		d_step {
			if
			:: DRAIN_MAY_TOUCH -> empty_array()
			:: else -> refused = 1
			fi
		}
		ipi = 0;
		running = back;
		back = 0;
		goto end_idle
	}
}
#endif

/* The other CPU: a trim. */
active proctype drainer()
{
	byte left = NDRAIN;

	do
	:: left > 0 ->
#ifndef DRAIN_REMOTE
		atomic { ipi = 1 }
		atomic { !ipi }
#else
		atomic { refused = busy }
		if
		:: !refused -> d_step { empty_array(); skip }
		:: else
		fi;
#endif
		atomic {
			if
			:: refused -> refused = 0	/* try again */
			:: else -> left--
			fi
		}
	:: else -> break
	od;
	nr_done++
}

/* When all is quiet every block is in one place, and a drain is not refused. */
active proctype at_rest()
{
	byte seen;
	byte i;

	atomic {
		nr_done == NR_CONTEXTS + 1;
		d_step {
			assert(busy != BUSY && preempt == 0 && nr <= CAP);
			assert((pool & held) == 0);
			seen = pool | held;
			for (i : 0 .. CAP - 1) {
				if
				:: i < nr ->
					assert(!HAS(seen, array[i]));
					seen = seen | BIT(array[i])
				:: else
				fi
			}
			assert(seen == BIT(NBLK) - 1)
		}
	}
}

init {
	atomic {
		pool = BIT(NBLK) - 1;
		run context(TASK_A, NOPS);
		run context(TASK_B, NOPS);
		run context(SOFTIRQ, NIRQ);
		run context(HARDIRQ, NIRQ)
	}
}
