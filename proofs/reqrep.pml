/* Model of request/reply in one slot: shmcomm/src/ring/queue, whose invariants are cited by number.
 *
 * Any requester or replier may be killed at any step (CRASHES), except the last replier. A requester may give
 * a request up in any state. With REDELIVER a dead replier's request goes to another replier; without it, its
 * requester is told. A waiting requester polls the status word of the reply, and from time to time
 * the word of the slot: the successors of a dead replier (the processes that recover it) write only that word. (So
 * the death of a successor is not modelled: it leaves nothing.) The checks:
 * - Every reply belongs to its request, and stays whole while it is read.
 * - If the word of the slot says that there is a reply, the status word does too.
 * - PeerDied occurs only after a death, and never with REDELIVER.
 * - At the end, when no process can move any more, every living requester has an answer to each request, and
 *   every slot is free.
 *
 * One step is one access to shared memory. The lap is left out: it orders requests, and identifies no owner
 * (invariant 7). It is also not needed to find out if a slot still belongs to the process. A word that is
 * CLAIMED by a replier about to leave it, or by a dead replier, recurs only if that replier has taken the slot
 * again meanwhile. A requester's word names the requester until the requester has freed it. So the comparisons
 * below are of state, sender, receiver and flag alone. Known-wrong variants are selected with -D; see .ci/spin.
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
#define REQUESTS 2	/* requests of each requester */
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

/* Values of the status word of a reply. */
#define PENDING 0
#define REPLY 1		/* a reply, with its length */
#define NO_REPLY 2	/* the word gives the reason, now or soon; so a requester continues to wait */

/* The word of each slot; sender and receiver are party + 1, or 0. */
byte state[SLOTS], sender[SLOTS], receiver[SLOTS];
bool cancelled[SLOTS], returned[SLOTS];
/* The payload of each slot: the request, and behind it the status word and the reply. */
byte asked[SLOTS], status[SLOTS], answer[SLOTS];
#ifdef REPLY_OVER_REQUEST
#define ANSWER asked
#else
#define ANSWER answer
#endif

/* Record of events, for the checks. */
byte crashes;
bool dead[PARTIES], finished[CLIENTS], server_died;

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

#define CLAIMED_BY(i, p) (state[i] == CLAIMED && receiver[i] == (p) + 1)

proctype client(byte me) {
	byte k, i, got; bool ok, replied;
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
#ifndef STATUS_STAYS
			status[i] = PENDING;
#endif
			d_step { assert(state[i] == WRITING); state[i] = READY; }
			if
			:: true ->	/* Wait for the status word or the word of the slot, without a time limit. */
#ifdef POLL_STATUS_ONLY
				status[i] != PENDING;
#endif
				if
				:: status[i] == REPLY -> ok = 1
				:: sender[i] == me + 1 && state[i] == REPLIED ->
					assert(status[i] == REPLY);
					ok = 1
				:: sender[i] == me + 1 && state[i] == UNANSWERED -> ok = 0
				:: sender[i] == me + 1 && state[i] == DIED ->
					assert(server_died);
#ifdef REDELIVER
					assert(false);
#endif
					ok = 0
				fi;
				if
				:: ok ->
					got = ANSWER[i];
					assert(got == 100 + REQUEST(me, k));
				:: else
				fi
			:: true	/* Give the request up, in its current state. */
			fi;
			replied = (status[i] == REPLY);
			d_step {	/* close */
				assert(sender[i] == me + 1 && !cancelled[i]);
				if
#ifndef CANCEL_FREES_CLAIMED
				:: state[i] == CLAIMED && !replied -> cancelled[i] = 1; sender[i] = 0
#endif
				:: else -> free(i)
				fi;
				k++; i = 0; got = 0; ok = 0; replied = 0;
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
			wanted = (CLAIMED_BY(i, me) && !cancelled[i]);
#endif
			if
			:: ANSWER[i] = 0;	/* half of the reply */
				ANSWER[i] = 100 + got;
#ifndef STATUS_TOO_LATE
				status[i] = REPLY;
#endif
				d_step {	/* reply */
#ifndef REPLY_WITHOUT_CHECK
					wanted = !cancelled[i];
#endif
					if
					:: !CLAIMED_BY(i, me)	/* The requester has read the reply and freed the slot. */
					:: CLAIMED_BY(i, me) && wanted -> state[i] = REPLIED; receiver[i] = 0
					:: CLAIMED_BY(i, me) && !wanted -> free(i)
					fi
				}
#ifdef STATUS_TOO_LATE
				status[i] = REPLY
#endif
			:: status[i] = NO_REPLY;
				d_step {	/* decline */
#ifndef REPLY_WITHOUT_CHECK
					assert(CLAIMED_BY(i, me));
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

/* The process that recovers a dead participant d: it holds the lock of that participant's seat. */
#define AS_SEEN (CLAIMED_BY(i, d) && cancelled[i] == given_up)

proctype successor(byte d) {
	byte i, seen; bool ok, given_up;
	dead[d];
	do
	:: i < SLOTS ->
		/* recover its work as a replier */
scan:		skip;
		d_step { ok = CLAIMED_BY(i, d); given_up = (ok && cancelled[i]); seen = PENDING; }
		if
		:: ok ->
#ifndef RECOVERY_IGNORES_STATUS
			seen = status[i];
#endif
#ifdef RECOVERY_STORES_STATUS
			/* By now this can be the status word of another request. */
			if
			:: !given_up && seen != REPLY -> status[i] = NO_REPLY
			:: else
			fi;
#endif
			/* If the word is unchanged, the status word was that of its request, and was not stored to since. */
			d_step {
				ok = AS_SEEN;
				if
				:: ok && given_up -> free(i)
				:: ok && !given_up && seen == REPLY -> state[i] = REPLIED; receiver[i] = 0
				:: ok && !given_up && seen != REPLY ->
#ifdef REDELIVER
					state[i] = READY; receiver[i] = 0; returned[i] = 1
#else
#ifndef NO_PEER_DIED
					state[i] = DIED; receiver[i] = 0
#else
					skip
#endif
#endif
				:: else
				fi
			}
			if
			:: ok
			:: else -> goto scan
			fi
		:: else
		fi;
		d_step {	/* recover its requests */
			if
			:: sender[i] == d + 1 && state[i] == CLAIMED ->
#ifndef RECOVERY_FORGETS_CLAIMED
				cancelled[i] = 1; sender[i] = 0
#else
				skip
#endif
			:: sender[i] == d + 1 && state[i] != CLAIMED -> free(i)
			:: else
			fi;
			i++; ok = 0; given_up = 0; seen = PENDING
		}
	:: else -> break
	od
}

/* The last party, a replier, is never killed, so that requests get answered. */
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
		do :: n < CLIENTS -> assert(dead[n] || finished[n]); n++ :: else -> break od;
		n = 0;
		do :: n < SLOTS -> assert(state[n] == FREE); n++ :: else -> break od;
		skip
	}
}

init {
	byte n;
	atomic {
		do :: n < CLIENTS -> run client(n); n++ :: else -> break od;
		do :: n < PARTIES -> run server(n); n++ :: else -> break od;
		n = 0;
		do :: n < PARTIES - 1 -> run successor(n); n++ :: else -> break od;
		run fate(); run judge();
	}
}
