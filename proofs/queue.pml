/* Model of the queue ring of push/pull: shmcomm/src/ring/queue, whose invariants are cited by number. The ring is
 * based on the bounded MPMC queue (Vyukov).
 *
 * Any participant may be killed at any step (CRASHES), a participant may be stopped for ever (STOPS), and a
 * puller may put a job back (DROPS). The checks at the end, when no process can move any more:
 * - Every accepted message was processed and acknowledged.
 * - It was processed once if no participant died, and never more often than that plus deaths and returns.
 * - A redelivered message is marked as such.
 * - No participant is stuck, and every slot is free.
 * The checks on the way: a pusher never meets a free slot of an earlier lap (invariant 4), and the messages
 * of a pusher are taken in order (invariant 8).
 *
 * One step is one access to shared memory: a load of a word, or a compare-exchange. If only relocation (the
 * relocation of a slot to the next lap) can make a compare-exchange fail, the retry is folded into it. The
 * memory is sequentially consistent here; loom checks weaker memory. Known-wrong variants are selected with
 * -D; see .ci/spin.
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef PUSHERS
#define PUSHERS 2
#endif
#ifndef PULLERS
#define PULLERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2	/* messages of each pusher */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef DROPS
#define DROPS 0
#endif
#if SLOTS > 3
#error "ROOM checks three slots"
#endif

#define PARTIES (PUSHERS + PULLERS)
#define ALL (PUSHERS * MESSAGES)
#define MESSAGE(p, k) ((p) * MESSAGES + (k))

#define FREE 0
#define WRITING 1
#define READY 2
#define CLAIMED 3

/* The word of each slot: lap, state, owner (party + 1, or 0), and a flag for redelivery. */
byte lap[SLOTS], state[SLOTS], owner[SLOTS];
bool returned[SLOTS];
byte payload[SLOTS];
#ifdef HEAD_FIRST
byte head;
#endif

/* Record of events, for the checks. */
byte crashes, stops, drops;
bool dead[PARTIES], recovered[PARTIES], finished[PARTIES];
bool accepted[ALL], acknowledged[ALL];
byte processed[ALL], due[PUSHERS];

#define FULL_AT(p) (lap[(p) % SLOTS] + 1 == (p) / SLOTS && state[(p) % SLOTS] != READY)
#define OPEN_AT(p) (lap[(p) % SLOTS] == (p) / SLOTS && state[(p) % SLOTS] == FREE)
#if SLOTS == 3
#define ROOM(p) (lap[(p) % SLOTS] >= (p) / SLOTS || (FULL_AT(p) && OPEN_AT(p + 1)) \
		|| (FULL_AT(p) && FULL_AT(p + 1) && OPEN_AT(p + 2)))
#define SOMETHING (state[0] == READY || state[1] == READY || state[2] == READY)
#else
#define ROOM(p) (lap[(p) % SLOTS] >= (p) / SLOTS || (FULL_AT(p) && OPEN_AT(p + 1)))
#define SOMETHING (state[0] == READY || state[1] == READY)
#endif

proctype pusher(byte me) {
	byte next, k, at, i; byte scan; bool ok;
	{
again:	do
	:: k == MESSAGES -> break
	:: k < MESSAGES ->
#ifdef HEAD_FIRST
		ROOM(head);
		d_step { at = head; head++; i = at % SLOTS; }
		(lap[i] == at / SLOTS && state[i] == FREE);
		d_step { state[i] = WRITING; owner[i] = me + 1; }
#else
		d_step {	/* load: 0 open, 1 taken, 2 full, 3 in use on the lap before */
			i = next % SLOTS; at = next;
			if
			:: lap[i] == next / SLOTS && state[i] == FREE -> scan = 0
			:: lap[i] > next / SLOTS || (lap[i] == next / SLOTS && state[i] != FREE) ->
				scan = 1;	/* invariant 4 */
				next = (lap[i] * SLOTS + i + 1) - (state[i] == FREE -> SLOTS : 0)
			:: lap[i] < next / SLOTS ->
				assert(state[i] != FREE && lap[i] + 1 == next / SLOTS);
				scan = (state[i] == READY -> 2 : 3)
			fi;
#ifdef NO_RELOCATION
			scan = (scan == 3 -> 2 : scan);
#endif
			i = 0
		}
		do	/* scan the slots behind it */
		:: scan == 3 -> d_step {
			at++;
			i = at % SLOTS;
			if
			:: at == next + SLOTS -> scan = 2
			:: else ->
				if
				:: lap[i] == at / SLOTS && state[i] == FREE -> scan = 0
				:: lap[i] + 1 == at / SLOTS && state[i] == READY -> scan = 2
				:: lap[i] + 1 == at / SLOTS && state[i] != READY && state[i] != FREE -> skip
				:: else -> scan = 1
				fi
			fi;
			i = 0
			}
		:: scan == 0 && next < at -> d_step {	/* relocate the slots before it to this lap */
			i = next % SLOTS;
			if
			:: lap[i] + 1 == next / SLOTS && state[i] != READY && state[i] != FREE ->
				lap[i] = next / SLOTS; next++
			:: else -> scan = 1
			fi;
			i = 0
			}
		:: scan == 1 -> d_step { scan = 0; at = 0; } goto again
		:: scan == 2 -> d_step { scan = 0; at = 0; }
#ifdef NO_RELOCATION
			lap[next % SLOTS] >= next / SLOTS;
#else
			ROOM(next);
#endif
			goto again
		:: scan == 0 && next == at -> break
		od; skip;
		d_step {	/* claim */
			i = at % SLOTS;
			ok = (lap[i] == at / SLOTS && state[i] == FREE);
			if :: ok -> state[i] = WRITING; owner[i] = me + 1; next = at + 1 :: else -> i = 0; at = 0 fi
		}
		if :: !ok -> goto again :: ok -> ok = 0 fi;
#endif
		payload[i] = MESSAGE(me, k) + 1;
		d_step {	/* publish, on the lap to which it was relocated */
#ifdef IGNORE_RELOCATION
			lap[i] = at / SLOTS;
#endif
			state[i] = READY; owner[i] = 0; accepted[MESSAGE(me, k)] = 1;
			next = (lap[i] * SLOTS + i + 1 > next -> lap[i] * SLOTS + i + 1 : next);
			k++; i = 0; at = 0;
		}
	od;
	finished[me] = 1
	} unless { dead[me] }
}

proctype puller(byte me) {
	byte cursor, tail, at, found, m, i; byte scan; bool moving, ok;
	{
again:	do
	::	d_step { at = cursor; moving = 1; scan = 1; }
		do	/* scan upwards: 1 continue, 0 nothing, 2 found */
		:: scan == 1 -> d_step {
			i = at % SLOTS;
			if
			:: at == cursor + SLOTS -> scan = 0
			:: at < cursor + SLOTS && lap[i] == at / SLOTS && state[i] == READY -> scan = 2
			:: at < cursor + SLOTS && lap[i] == at / SLOTS && state[i] == FREE -> scan = 0
			:: at < cursor + SLOTS && lap[i] < at / SLOTS -> scan = 0
			:: at < cursor + SLOTS && lap[i] == at / SLOTS && state[i] == WRITING ->
#ifndef PASS_WRITING
				moving = 0;
#endif
				at++
			:: at < cursor + SLOTS && lap[i] == at / SLOTS && state[i] == CLAIMED -> at++
			:: at < cursor + SLOTS && lap[i] > at / SLOTS ->
#ifdef NO_HELP
				moving = 0;
#endif
				/* This position is done, and so are all positions up to a lap below that of the word: invariant 4. */
				m = lap[i] * SLOTS + i + 1;
				found = SLOTS + (state[i] == FREE -> SLOTS : 0);
				at = (moving && m > at + 1 + found -> m - found : at + 1);
				m = 0; found = 0
			fi;
			cursor = (moving -> at : cursor);
			i = 0
			}
		:: else -> break
		od; skip;
#ifndef NO_VALIDATION
		d_step {
			if :: scan == 2 -> found = at; at = cursor :: else -> found = 0 fi
		}
		do	/* a slot that was passed while it was written may have become ready first: invariant 8 */
		:: scan == 2 && at < found -> d_step {
			i = at % SLOTS;
			if
			:: lap[i] == at / SLOTS && state[i] == READY -> found = at; at = cursor
			:: else -> at++
			fi;
			i = 0
			}
		:: else -> break
		od; skip;
#endif
#ifndef NO_SCAN_DOWN
		d_step {
			if
			:: scan == 0 ->
				scan = 1; moving = 1;
				tail = (cursor > tail + SLOTS -> cursor - SLOTS : tail);
				at = tail
			:: else
			fi
		}
		do
		:: scan == 1 -> d_step {
			i = at % SLOTS;
			if
			:: at >= cursor -> scan = 0
			:: at < cursor && lap[i] == at / SLOTS && state[i] == READY -> scan = 2
			:: at < cursor && lap[i] > at / SLOTS -> at++
			:: else -> at++; moving = 0
			fi;
			tail = (moving && scan == 1 -> at : tail);
			i = 0
			}
		:: else -> break
		od; skip;
#endif
		d_step { moving = 0; found = 0; }
		if
		:: scan == 0 -> at = 0; SOMETHING; goto again
		:: scan == 2
		fi;
		d_step {	/* take */
			i = at % SLOTS; scan = 0;
			ok = (lap[i] == at / SLOTS && state[i] == READY);
			if
			:: ok ->
				state[i] = CLAIMED; owner[i] = me + 1;
				cursor = (at == cursor -> at + 1 : cursor);
				m = payload[i] - 1;
				assert(returned[i] || m % MESSAGES >= due[m / MESSAGES]);	/* invariant 8 */
				due[m / MESSAGES] = m % MESSAGES + 1; m = 0; at = 0
			:: else -> i = 0; at = 0
			fi
		}
		if :: !ok -> goto again :: ok -> ok = 0 fi;
#ifdef ACKNOWLEDGE_FIRST
		d_step { m = payload[i]; lap[i]++; state[i] = FREE; owner[i] = 0; returned[i] = 0; acknowledged[m - 1] = 1; }
#endif
progress:	d_step {
			m = payload[i];
#ifndef ACKNOWLEDGE_FIRST
			assert(processed[m - 1] == 0 || returned[i]);
#endif
			processed[m - 1]++;
		}
#ifndef ACKNOWLEDGE_FIRST
		if
		:: d_step { lap[i]++; state[i] = FREE; owner[i] = 0; returned[i] = 0; acknowledged[m - 1] = 1; }
		:: d_step { drops < DROPS -> drops++; state[i] = READY; owner[i] = 0; returned[i] = 1; }
		fi;
#endif
		d_step { i = 0; m = 0; }
	od
	} unless { dead[me] }
}

/* The process that recovers a dead participant: it holds the lock of that participant's seat. */
proctype recovery() {
	byte d, i;
	do
	:: atomic { d = 0; do :: d < PARTIES && !(dead[d] && !recovered[d]) -> d++ :: else -> break od; skip }
		if
		:: d < PARTIES ->
			i = 0;
			do
			:: i < SLOTS ->
				if
				:: d_step { owner[i] == d + 1 && state[i] == WRITING -> lap[i]++; state[i] = FREE; owner[i] = 0; }
#ifdef NO_REDELIVERY
				:: d_step { owner[i] == d + 1 && state[i] == CLAIMED -> lap[i]++; state[i] = FREE; owner[i] = 0; }
#else
				:: d_step { owner[i] == d + 1 && state[i] == CLAIMED -> state[i] = READY; owner[i] = 0; returned[i] = 1; }
#endif
				:: else
				fi;
				i++
			:: else -> break
			od; skip;
			d_step { recovered[d] = 1; i = 0; }
		:: else ->
			d = 0;
			((dead[0] && !recovered[0]) || (dead[1] && !recovered[1])
#if PUSHERS + PULLERS > 2
			|| (dead[2] && !recovered[2])
#endif
#if PUSHERS + PULLERS > 3
			|| (dead[3] && !recovered[3])
#endif
			)
		fi
	od
}

/* The last party, a puller, is never killed, so that the work gets done. */
#define MORTAL(d) (!dead[d] && !finished[d])
#define KILL(d) d_step { crashes < CRASHES && MORTAL(d) -> dead[d] = 1; crashes++; }
#define STOP(d) d_step { stops < STOPS && MORTAL(d) -> dead[d] = 1; recovered[d] = 1; stops++; }

proctype fate() {
	do
	:: break
	:: KILL(0)
	:: STOP(0)
#if PUSHERS + PULLERS > 2
	:: KILL(1)
	:: STOP(1)
#endif
#if PUSHERS + PULLERS > 3
	:: KILL(2)
	:: STOP(2)
#endif
	od
}

proctype judge() {
	byte n, held;
	timeout -> d_step {
		n = 0; held = 0;
		do
		:: n < SLOTS ->
			if
			:: state[n] != FREE ->
				/* Only a stopped participant can leave a slot in use. */
				assert(stops > 0 && owner[n] != 0 && dead[owner[n] - 1]);
				held++;
			:: else
			fi;
			n++
		:: else -> break
		od;
		assert(held <= stops);
		n = 0;
		do
		:: n < ALL ->
			assert(!accepted[n] || processed[n] >= 1 || held > 0);
			assert(!accepted[n] || acknowledged[n] || held > 0);
			assert(processed[n] <= 1 + crashes + drops);
			assert(crashes + drops + stops > 0 || processed[n] == 1);
			n++
		:: else -> break
		od;
		n = 0;
		do :: n < PUSHERS -> assert(dead[n] || finished[n]); n++ :: else -> break od;
		skip
	}
}

init {
	byte n;
	atomic {
		do :: n < PUSHERS -> run pusher(n); n++ :: else -> break od;
		do :: n < PARTIES -> run puller(n); n++ :: else -> break od;
		run recovery(); run fate(); run judge();
	}
}
