/* Request/reply in one slot: shmcomm/src/ring/queue, whose invariants are cited by number.
 *
 * Any requester or replier may be killed at any step (CRASHES), the last replier excepted; a requester may
 * give a request up in any state. With REDELIVER a dead replier's request goes to another one, without it
 * its requester is told. A requester that waits looks at the bell, and now and then at the word: that is
 * all that the heirs of a dead replier write. (So the death of an heir is not modelled: it leaves nothing.)
 * Checked: every reply belongs to its request, and stays whole while it is read; where the word says that
 * there is a reply, the bell does; PeerDied comes only after a death, and never with REDELIVER; and at
 * the end, when nothing can move any more, every requester that lives has an answer to all that it asked,
 * and every slot is free.
 *
 * One step is one access to shared memory. The lap is left out: it orders requests, and tells nobody
 * whose they are (invariant 7). It is not needed to find out whether a slot is still one's own, either:
 * a word that is CLAIMED by a replier which is about to leave it, or by a dead one, can have gone and
 * come back only if that one had taken it again meanwhile; and a requester's word says its name until it
 * has freed it. So the comparisons below are of state, sender, receiver and flag alone. Known-wrong
 * variants are chosen with -D; see .ci/spin.
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

/* The bell. */
#define SILENT 0
#define REPLY 1		/* and its length */
#define NO_REPLY 2	/* the word says why, now or soon; so a requester goes on waiting */

/* The word of each slot; sender and receiver are party + 1, or 0. */
byte state[SLOTS], sender[SLOTS], receiver[SLOTS];
bool cancelled[SLOTS], returned[SLOTS];
/* Its payload: the request, and behind it the bell and the reply. */
byte asked[SLOTS], bell[SLOTS], answer[SLOTS];
#ifdef REPLY_OVER_REQUEST
#define ANSWER asked
#else
#define ANSWER answer
#endif

/* What happened. */
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
	byte k, i, got; bool ok, heard;
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
#ifndef BELL_RINGS_ON
			bell[i] = SILENT;
#endif
			d_step { assert(state[i] == WRITING); state[i] = READY; }
			if
			:: true ->	/* Wait for the bell or the word, for as long as it takes. */
#ifdef HEARS_ONLY_THE_BELL
				bell[i] != SILENT;
#endif
				if
				:: bell[i] == REPLY -> ok = 1
				:: sender[i] == me + 1 && state[i] == REPLIED ->
					assert(bell[i] == REPLY);
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
			:: true	/* Give it up, in whatever state it is by then. */
			fi;
			heard = (bell[i] == REPLY);
			d_step {	/* close */
				assert(sender[i] == me + 1 && !cancelled[i]);
				if
#ifndef CANCEL_FREES_CLAIMED
				:: state[i] == CLAIMED && !heard -> cancelled[i] = 1; sender[i] = 0
#endif
				:: else -> free(i)
				fi;
				k++; i = 0; got = 0; ok = 0; heard = 0;
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
#ifndef BELL_TOO_LATE
				bell[i] = REPLY;
#endif
				d_step {	/* reply */
#ifndef REPLY_WITHOUT_CHECK
					wanted = !cancelled[i];
#endif
					if
					:: !CLAIMED_BY(i, me)	/* It was heard, and the slot freed. */
					:: CLAIMED_BY(i, me) && wanted -> state[i] = REPLIED; receiver[i] = 0
					:: CLAIMED_BY(i, me) && !wanted -> free(i)
					fi
				}
#ifdef BELL_TOO_LATE
				bell[i] = REPLY
#endif
			:: bell[i] = NO_REPLY;
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

/* Whoever holds the lock of a dead one's seat. */
#define AS_SEEN (CLAIMED_BY(i, d) && cancelled[i] == given_up)

proctype heir(byte d) {
	byte i, rung; bool ok, given_up;
	dead[d];
	do
	:: i < SLOTS ->
		/* its work as a replier */
look:		skip;
		d_step { ok = CLAIMED_BY(i, d); given_up = (ok && cancelled[i]); rung = SILENT; }
		if
		:: ok ->
#ifndef REAP_HEARS_NO_BELL
			rung = bell[i];
#endif
#ifdef REAP_RINGS_BLINDLY
			/* By now this may be the bell of another request. */
			if
			:: !given_up && rung != REPLY -> bell[i] = NO_REPLY
			:: else
			fi;
#endif
			/* If the word is the same, the bell was that of its request, and nobody rang it since. */
			d_step {
				ok = AS_SEEN;
				if
				:: ok && given_up -> free(i)
				:: ok && !given_up && rung == REPLY -> state[i] = REPLIED; receiver[i] = 0
				:: ok && !given_up && rung != REPLY ->
#ifdef REDELIVER
					state[i] = READY; receiver[i] = 0; returned[i] = 1
#else
#ifndef NOT_TOLD
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
			:: else -> goto look
			fi
		:: else
		fi;
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
			i++; ok = 0; given_up = 0; rung = SILENT
		}
	:: else -> break
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
		do :: n < PARTIES - 1 -> run heir(n); n++ :: else -> break od;
		run fate(); run judge();
	}
}
