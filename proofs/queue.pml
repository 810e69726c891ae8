/* The queue ring of push/pull: shmcomm/src/ring/queue, whose invariants are cited by number.
 *
 * Any participant may be killed at any step (CRASHES), one may be stopped for ever (STOPS), a puller
 * may put a job back (DROPS). Checked at the end, when nothing can move any more: what was accepted was
 * processed and acknowledged; once if nobody died; never more often than that plus deaths and returns;
 * what came again said so; nobody is stuck; every slot is free. On the way: a pusher never meets a free
 * slot of an earlier lap (invariant 4), and the messages of a pusher are taken in order (invariant 8).
 *
 * One step is one access to shared memory: a read of a word, or a compare-exchange. A retry that can
 * only meet carrying is folded into its compare-exchange. The memory is sequentially consistent here;
 * what weaker memory does is loom's part. Known-wrong variants are chosen with -D; see .ci/spin.
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
#define MESSAGES 2	/* of each pusher */
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
#error "ROOM looks at three slots"
#endif

#define PARTIES (PUSHERS + PULLERS)
#define ALL (PUSHERS * MESSAGES)
#define MESSAGE(p, k) ((p) * MESSAGES + (k))

#define FREE 0
#define WRITING 1
#define READY 2
#define CLAIMED 3

/* The word of each slot: lap, state, owner (party + 1, or 0), and whether it came back. */
byte lap[SLOTS], state[SLOTS], owner[SLOTS];
bool returned[SLOTS];
byte payload[SLOTS];
#ifdef HEAD_FIRST
byte head;
#endif

/* What happened. */
byte crashes, stops, drops;
bool dead[PARTIES], buried[PARTIES], finished[PARTIES];
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

inline see(at) {
	d_step { i = (at) % SLOTS; l = (at) / SLOTS; wl = lap[i]; ws = state[i]; }
}

inline clear() { d_step { i = 0; l = 0; wl = 0; ws = 0; at = 0; ok = 0; } }

proctype pusher(byte me) {
	byte next, k, at, open, i, l, wl, ws; bool ok;
	{
again:	do
	:: k == MESSAGES -> break
	:: k < MESSAGES ->
#ifdef HEAD_FIRST
		ROOM(head);
		d_step { at = head; head++; i = at % SLOTS; l = at / SLOTS; }
		(lap[i] == l && state[i] == FREE);
		d_step { state[i] = WRITING; owner[i] = me + 1; ok = 1; }
#else
		see(next);
		if
		:: wl == l && ws == FREE -> at = next
		:: wl > l || (wl == l && ws != FREE) ->	/* taken: invariant 4 */
			d_step { next = (wl * SLOTS + i + 1) - (ws == FREE -> SLOTS : 0); }
			goto again
		:: wl < l ->
			assert(ws != FREE && wl + 1 == l);
			/* Look behind it. */
			d_step { open = next + 1; ok = (ws != READY); }
			do
			:: ok && open < next + SLOTS ->
				see(open);
				if
				:: wl == l && ws == FREE -> break
				:: wl + 1 == l && ws != READY && ws != FREE -> open++
				:: else -> ok = 0
				fi
			:: else -> ok = 0; break
			od;
#ifdef NO_CARRY
			ok = 0;
#endif
			if
			:: !ok -> clear(); open = 0; ROOM(next)
#ifdef NO_CARRY
				&& lap[next % SLOTS] >= next / SLOTS
#endif
				; goto again
			:: ok
			fi;
			/* Carry what is before the open one. */
			do
			:: next < open -> d_step {
				i = next % SLOTS; l = next / SLOTS;
				ok = (lap[i] + 1 == l && state[i] != READY && state[i] != FREE);
				if :: ok -> lap[i] = l; next++ :: else fi
				}
				if :: ok :: else -> break fi
			:: next == open -> break
			od;
			open = 0;
			if :: !ok -> clear(); goto again :: ok -> at = next fi
		fi;
		d_step {	/* claim */
			i = at % SLOTS; l = at / SLOTS;
			ok = (lap[i] == l && state[i] == FREE);
			if :: ok -> state[i] = WRITING; owner[i] = me + 1; next = at + 1 :: else fi
		}
#endif
		if
		:: !ok -> clear()
		:: ok ->
			payload[i] = MESSAGE(me, k) + 1;
			d_step {	/* publish, on whatever lap it was carried to */
#ifdef IGNORE_CARRY
				lap[i] = l;
#endif
				state[i] = READY; owner[i] = 0; accepted[MESSAGE(me, k)] = 1;
				next = (lap[i] * SLOTS + i + 1 > next -> lap[i] * SLOTS + i + 1 : next);
				k++; i = 0; l = 0; wl = 0; ws = 0; at = 0; ok = 0;
			}
		fi
	od;
	finished[me] = 1
	} unless { dead[me] }
}

proctype puller(byte me) {
	byte cursor, tail, at, found, m, i, l, wl, ws; bool moving, ok, came_again;
	{
again:	do
	:: /* Look up. */
		d_step { at = cursor; moving = 1; ok = 0; }
		do
		:: at < cursor + SLOTS ->
			see(at);
			if
			:: wl == l && ws == READY -> ok = 1; break
			:: wl == l && ws == FREE -> break
			:: wl < l -> break
			:: wl == l && ws == WRITING ->
#ifndef PASS_WRITING
				moving = 0;
#endif
				at++
			:: wl == l && ws == CLAIMED -> at++
			:: wl > l ->
#ifdef NO_HELP
				moving = 0;
#endif
				d_step {	/* done, and all up to a lap below where the word is */
					l = wl * SLOTS + i + 1;
					m = SLOTS + (ws == FREE -> SLOTS : 0);
					at = (moving && l > at + 1 + m -> l - m : at + 1);
					m = 0;
				}
			fi;
			if :: moving -> cursor = at :: else fi
		:: else -> break
		od;
#ifndef NO_SECOND_LOOK
		/* What was passed while it was written may have become ready first: invariant 8. */
		if
		:: ok ->
			found = at; at = cursor;
			do
			:: at < found ->
				see(at);
				if
				:: wl == l && ws == READY -> d_step { found = at; at = cursor; }
				:: else -> at++
				fi
			:: else -> break
			od; skip;
			d_step { at = found; found = 0; }
		:: else
		fi;
#endif
#ifndef NO_LOOK_DOWN
		if
		:: !ok ->
			d_step { tail = (cursor > tail + SLOTS -> cursor - SLOTS : tail); at = tail; moving = 1; }
			do
			:: at < cursor ->
				see(at);
				if
				:: wl == l && ws == READY -> ok = 1; break
				:: wl > l -> at++
				:: else -> at++; moving = 0
				fi;
				if :: moving -> tail = at :: else fi
			:: else -> break
			od
		:: else
		fi;
#endif
		moving = 0;
		if
		:: !ok -> clear(); SOMETHING; goto again
		:: ok
		fi;
		d_step {	/* take */
			i = at % SLOTS; l = at / SLOTS;
			ok = (lap[i] == l && state[i] == READY);
			if
			:: ok ->
				state[i] = CLAIMED; owner[i] = me + 1; came_again = returned[i];
				m = payload[i] - 1;
				assert(came_again || m % MESSAGES >= due[m / MESSAGES]);	/* invariant 8 */
				due[m / MESSAGES] = m % MESSAGES + 1; m = 0;
				cursor = (at == cursor -> at + 1 : cursor);
			:: else
			fi
		}
		if
		:: !ok -> clear(); goto again
		:: ok
		fi;
#ifdef ACKNOWLEDGE_FIRST
		d_step { m = payload[i]; lap[i]++; state[i] = FREE; owner[i] = 0; returned[i] = 0; acknowledged[m - 1] = 1; }
#endif
progress:	d_step {
			m = payload[i];
			assert(processed[m - 1] == 0 || came_again);
			processed[m - 1]++;
		}
#ifndef ACKNOWLEDGE_FIRST
		if
		:: d_step { lap[i]++; state[i] = FREE; owner[i] = 0; returned[i] = 0; acknowledged[m - 1] = 1; }
		:: d_step { drops < DROPS -> drops++; state[i] = READY; owner[i] = 0; returned[i] = 1; }
		fi;
#endif
		clear(); m = 0; came_again = 0
	od
	} unless { dead[me] }
}

/* Whoever holds the lock of a dead one's seat. */
proctype reaper() {
	byte d, i;
	do
	:: atomic { d = 0; do :: d < PARTIES && !(dead[d] && !buried[d]) -> d++ :: else -> break od; skip }
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
			d_step { buried[d] = 1; i = 0; }
		:: else ->
			d = 0;
			((dead[0] && !buried[0]) || (dead[1] && !buried[1])
#if PUSHERS + PULLERS > 2
			|| (dead[2] && !buried[2])
#endif
#if PUSHERS + PULLERS > 3
			|| (dead[3] && !buried[3])
#endif
			)
		fi
	od
}

/* One puller, the last, always lives: somebody has to do the work. */
proctype fate() {
	byte who;
	do
	:: break
	:: crashes + stops < CRASHES + STOPS ->
		select(who : 0 .. PARTIES - 2);
		if
		:: d_step { crashes < CRASHES && !dead[who] && !finished[who] -> dead[who] = 1; crashes++; }
		:: d_step { stops < STOPS && !dead[who] && !finished[who] -> dead[who] = 1; buried[who] = 1; stops++; }
		:: else
		fi;
		who = 0
	:: else -> break
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
				/* Only with one that is stopped. */
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
		run reaper(); run fate(); run judge();
	}
}
