/* Request/reply in one slot: shmcomm/src/ring/queue, whose invariants are cited by number.
 *
 * Any requester or replier may be killed at any step (CRASHES), the last replier excepted; a requester
 * may give a request up in any state. With REDELIVER a dead replier's request goes to another one,
 * without it its requester is told. Checked: every reply belongs to its request; PeerDied comes only
 * after a death, and never with REDELIVER; and at the end, when nothing can move any more, every
 * requester that lives has an answer to all that it asked, and every slot is free.
 *
 * One step is one access to shared memory. The lap is left out: it orders requests, and tells nobody
 * whose they are (invariant 7). Known-wrong variants are chosen with -D; see .ci/spin.
 */
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef SERVERS
#define SERVERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2	/* of each requester */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#define PARTIES (CLIENTS + SERVERS)
#if CLIENTS + SERVERS > 4 || CLIENTS + SERVERS < 3
#error "the death of three or four is written out"
#endif
#define REQUEST(c, k) ((c) * REQUESTS + (k) + 1)

#define FREE 0
#define WRITING 1
#define READY 2
#define CLAIMED 3
#define REPLIED 4
#define UNANSWERED 5
#define DIED 6

/* The word of each slot; sender and receiver are party + 1, or 0. */
byte state[SLOTS], sender[SLOTS], receiver[SLOTS];
bool cancelled[SLOTS], returned[SLOTS];
/* Its payload: the request, and the reply behind it. */
byte asked[SLOTS], answer[SLOTS];
#ifdef REPLY_OVER_REQUEST
#define ANSWER asked
#else
#define ANSWER answer
#endif

/* What happened. */
byte crashes;
bool dead[PARTIES], buried[PARTIES], finished[CLIENTS], server_died;

inline free(i) {
	state[i] = FREE; sender[i] = 0; receiver[i] = 0; cancelled[i] = 0; returned[i] = 0
}

#if SLOTS == 2
#define ROOM (state[0] == FREE || state[1] == FREE)
#define SOMETHING (state[0] == READY || state[1] == READY)
#else
#define ROOM (state[0] == FREE)
#define SOMETHING (state[0] == READY)
#endif

proctype client(byte me) {
	byte k, i, got; bool ok;
	{
	do
	:: k == REQUESTS -> break
	:: k < REQUESTS ->
		ROOM;
		d_step {	/* claim */
			i = 0;
#if SLOTS == 2
			i = (state[0] == FREE -> 0 : 1);
#endif
			ok = (state[i] == FREE);
			if :: ok -> state[i] = WRITING; sender[i] = me + 1 :: else fi
		}
		if
		:: !ok -> i = 0
		:: ok ->
			asked[i] = REQUEST(me, k);
			d_step { assert(state[i] == WRITING); state[i] = READY; }
			if
			:: /* Wait for what comes of it. */
				(sender[i] == me + 1 && state[i] >= REPLIED);
				if
				:: state[i] == REPLIED ->
					got = ANSWER[i];
					assert(got == 100 + REQUEST(me, k));
				:: state[i] == UNANSWERED
				:: state[i] == DIED ->
					assert(server_died);
#ifdef REDELIVER
					assert(false);
#endif
				fi
			:: skip	/* Give it up, now. */
			fi;
			d_step {	/* close */
				assert(sender[i] == me + 1 && !cancelled[i]);
				if
#ifndef CANCEL_FREES_CLAIMED
				:: state[i] == CLAIMED -> cancelled[i] = 1; sender[i] = 0
#endif
				:: else -> free(i)
				fi;
				k++; i = 0; got = 0; ok = 0;
			}
		fi
	od;
	finished[me] = 1
	} unless { dead[me] }
}

proctype server(byte me) {
	byte i, got; bool ok, wanted;
	{
	do
	:: SOMETHING ->
		d_step {	/* take */
			i = 0;
#if SLOTS == 2
			i = (state[0] == READY -> 0 : 1);
#endif
			ok = (state[i] == READY);
			if :: ok -> state[i] = CLAIMED; receiver[i] = me + 1 :: else fi
		}
		if
		:: ok ->
progress:		got = asked[i];
			assert(got >= 1 && got <= CLIENTS * REQUESTS);
#ifdef REPLY_WITHOUT_CHECK
			wanted = (state[i] == CLAIMED && receiver[i] == me + 1 && !cancelled[i]);
#endif
			if
			:: ANSWER[i] = 0;	/* half of the reply */
				ANSWER[i] = 100 + got;
				d_step {	/* reply */
#ifndef REPLY_WITHOUT_CHECK
					assert(state[i] == CLAIMED && receiver[i] == me + 1);
					wanted = !cancelled[i];
#endif
					if
					:: wanted -> state[i] = REPLIED; receiver[i] = 0
					:: else -> free(i)
					fi
				}
			:: d_step {	/* decline */
#ifndef REPLY_WITHOUT_CHECK
					assert(state[i] == CLAIMED && receiver[i] == me + 1);
#endif
					if
					:: cancelled[i] -> free(i)
					:: else -> state[i] = UNANSWERED; receiver[i] = 0
					fi
				}
			fi
		:: else
		fi;
		d_step { i = 0; got = 0; ok = 0; wanted = 0; }
	od
	} unless { dead[me] }
}

/* Whoever holds the lock of a dead one's seat. */
#define CORPSE(d) (dead[d] && !buried[d])

proctype reaper() {
	byte d, i;
	do
	:: CORPSE(0) -> d = 0; goto sweep
	:: CORPSE(1) -> d = 1; goto sweep
#if PARTIES > 3
	:: CORPSE(2) -> d = 2; goto sweep
#endif
	:: false ->
sweep:
		do
		:: i < SLOTS ->
			d_step {	/* its work as a replier */
				if
				:: state[i] == CLAIMED && receiver[i] == d + 1 ->
					if
					:: cancelled[i] -> free(i)
					:: else ->
#ifdef REDELIVER
						state[i] = READY; receiver[i] = 0; returned[i] = 1
#else
#ifndef NOT_TOLD
						state[i] = DIED; receiver[i] = 0
#else
						skip
#endif
#endif
					fi
				:: else
				fi
			}
			d_step {	/* its requests */
				if
				:: sender[i] == d + 1 && state[i] == CLAIMED ->
#ifndef REAP_FORGETS_CLAIMED
					cancelled[i] = 1; sender[i] = 0
#else
					skip
#endif
				:: sender[i] == d + 1 && state[i] != CLAIMED -> free(i)
				:: else
				fi;
				i++
			}
		:: else -> break
		od; skip;
		d_step { buried[d] = 1; d = 0; i = 0; }
	od
}

/* The last party, a replier, always lives: somebody has to answer. */
#define KILL(d) d_step { crashes < CRASHES && !dead[d] && !(d < CLIENTS && finished[(d < CLIENTS -> d : 0)]) -> \
	dead[d] = 1; crashes++; if :: d >= CLIENTS -> server_died = 1 :: else fi }

proctype fate() {
	do
	:: break
	:: KILL(0)
	:: KILL(1)
#if PARTIES > 3
	:: KILL(2)
#endif
	od
}

proctype judge() {
	byte n;
	timeout -> d_step {
		n = 0;
		do :: n < SLOTS -> assert(state[n] == FREE); n++ :: else -> break od;
		n = 0;
		do :: n < CLIENTS -> assert(dead[n] || finished[n]); n++ :: else -> break od;
		skip
	}
}

init {
	byte n;
	atomic {
		do :: n < CLIENTS -> run client(n); n++ :: else -> break od;
		do :: n < PARTIES -> run server(n); n++ :: else -> break od;
		run reaper(); run fate(); run judge();
	}
}
