/* Model of a stream of replies in one slot: shmcomm/src/ring/queue/stream.rs, whose invariants are cited by number.
 *
 * The word of the slot, its states and its recovery are those of reqrep.pml, without redelivery, which streams do not
 * have. A replier sends up to REPLIES replies in a window of WINDOW, and then ends the stream or drops the request. A
 * requester takes them, or cancels in any state. Any requester or replier may be killed at any step (CRASHES), except
 * the last replier. The checks:
 * - Every reply that a requester reads is the next one of its own request, and is whole (4).
 * - A requester that finds the end, the drop or the death of its replier has taken all replies that were sent (5).
 * - At most WINDOW replies are unread (2).
 * - PeerDied occurs only after a death.
 * - At the end, when no process can move any more, every living requester has found an end to each request that it did
 *   not cancel, no replier waits for room, and the slot is free.
 *
 * One step is one access to shared memory. The words `sent` and `taken` are those of the slot. Both ends keep their own
 * count beside the word (1). Known-wrong variants are selected with -D; see .ci/spin.
 */
#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef SERVERS
#define SERVERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2	/* requests of each requester */
#endif
#ifndef REPLIES
#define REPLIES 2	/* largest number of replies to a request */
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define PARTIES (CLIENTS + SERVERS)
#if CLIENTS + SERVERS != 3
#error "the death of three is written out"
#endif
#define REQUEST(c, k) ((c) * REQUESTS + (k) + 1)
#define VALUE(request, n) (10 * (request) + (n) + 1)

#define FREE 0
#define WRITING 1
#define READY 2
#define CLAIMED 3
#define REPLIED 4
#define UNANSWERED 5
#define DIED 6

/* Values of the status word. */
#define PENDING 0
#define REPLY 1		/* the end of the stream */
#define NO_REPLY 2	/* the word gives the reason, now or soon */

/* The word of the slot; sender and receiver are party + 1, or 0. */
byte state, sender, receiver;
bool cancelled;
/* The payload of the slot: the request, the status word, and the window. */
byte asked, status, sent, taken, window[WINDOW];

/* Record of events, for the checks. */
byte crashes;
bool dead[PARTIES], finished[CLIENTS], server_died;

inline free() {
	state = FREE; sender = 0; receiver = 0; cancelled = 0
}

#define CLAIMED_BY(p) (state == CLAIMED && receiver == (p) + 1)

proctype client(byte me) {
	byte k, count, seen, got; bool ok, over, replied;
	{
	do
	:: k == REQUESTS -> break
	:: k < REQUESTS ->
		state == FREE;
		d_step {	/* claim */
			ok = (state == FREE);
			if :: ok -> state = WRITING; sender = me + 1 :: else fi
		}
		if
		:: !ok
		:: ok ->
			asked = REQUEST(me, k);
			status = PENDING;
#ifndef COUNTS_STAY
			sent = 0;
			taken = 0;
#endif
			d_step { assert(state == WRITING); state = READY; count = 0; over = 0; }
			do
			:: over -> break
			:: !over ->
				if
				:: break	/* Cancel, in the current state. */
				:: sent != count -> skip
				:: status == REPLY -> over = 1
				:: sender == me + 1 && state == REPLIED -> over = 1
				:: sender == me + 1 && state == UNANSWERED -> over = 1
				:: sender == me + 1 && state == DIED -> assert(server_died); over = 1
				fi;
				/* The end acquires every reply before it, so the count is loaded again (5). */
#ifdef END_FIRST
				seen = (over -> count : sent);
#else
				seen = sent;
#endif
				if
				:: seen == count -> assert(over && count == sent)
				:: seen != count ->
					over = 0;
					assert(seen > count && seen - count <= WINDOW);
#ifdef TAKEN_FIRST
					taken = count + 1;
#endif
progress:				got = window[count % WINDOW];
					assert(got == VALUE(REQUEST(me, k), count));
					count++;
#ifndef TAKEN_FIRST
					taken = count
#endif
				fi
			od;
			replied = (status == REPLY);
			d_step {	/* close */
				assert(sender == me + 1 && !cancelled);
				if
#ifndef CANCEL_FREES_CLAIMED
				:: state == CLAIMED && !replied -> cancelled = 1; sender = 0
#endif
				:: else -> free()
				fi;
				k++; count = 0; seen = 0; got = 0; over = 0; replied = 0;
			}
		fi
	od;
	finished[me] = 1
	} unless { dead[me] }
}

proctype server(byte me) {
	byte got, count; bool ok, wanted;
	{
	do
	:: state == READY ->
		d_step {	/* take */
			ok = (state == READY);
			if :: ok -> state = CLAIMED; receiver = me + 1 :: else fi
		}
		if
		:: ok ->
			got = asked;
			count = 0; wanted = 1;
			do
			:: count == REPLIES || !wanted -> break
			:: count < REPLIES && wanted ->
				if
				:: break	/* fewer replies */
				:: true ->
#ifndef NO_CREDIT
					/* Wait for room, or for a cancel. */
					if
					:: count - taken < WINDOW
#ifndef SEND_WITHOUT_CHECK
					:: cancelled
#endif
					fi;
#endif
#ifndef SEND_WITHOUT_CHECK
					wanted = !cancelled;
#endif
					if
					:: !wanted
					:: wanted ->
#ifdef SENT_FIRST
						sent = count + 1;
#endif
						window[count % WINDOW] = 0;	/* half of the reply */
						window[count % WINDOW] = VALUE(got, count);
						count++;
#ifndef SENT_FIRST
						sent = count
#endif
					fi
				fi
			od;
			if
			:: status = REPLY;
				d_step {	/* end */
					if
					:: !CLAIMED_BY(me)	/* The requester has found the end and freed the slot. */
					:: CLAIMED_BY(me) && !cancelled -> state = REPLIED; receiver = 0
					:: CLAIMED_BY(me) && cancelled -> free()
					fi
				}
			:: status = NO_REPLY;
				d_step {	/* decline */
					assert(CLAIMED_BY(me));
					if
					:: cancelled -> free()
					:: else -> state = UNANSWERED; receiver = 0
					fi
				}
			fi
		:: else
		fi;
		d_step { got = 0; count = 0; ok = 0; wanted = 0; }
	od
	} unless { dead[me] }
}

/* The process that recovers a dead participant d: it holds the lock of that participant's seat. */
proctype successor(byte d) {
	byte seen; bool ok, given_up;
	dead[d];
	/* recover its work as a replier */
scan:	skip;
	d_step { ok = CLAIMED_BY(d); given_up = (ok && cancelled); }
	if
	:: ok ->
		seen = status;
		d_step {
			ok = (CLAIMED_BY(d) && cancelled == given_up);
			if
			:: ok && given_up -> free()
			:: ok && !given_up && seen == REPLY -> state = REPLIED; receiver = 0
			:: ok && !given_up && seen != REPLY ->
#ifndef NO_PEER_DIED
				state = DIED; receiver = 0
#else
				skip
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
		:: sender == d + 1 && state == CLAIMED ->
#ifndef RECOVERY_FORGETS_CLAIMED
			cancelled = 1; sender = 0
#else
			skip
#endif
		:: sender == d + 1 && state != CLAIMED -> free()
		:: else
		fi
	}
}

/* The last party, a replier, is never killed, so that requests get answered. */
#define KILL(d) d_step { crashes < CRASHES && !dead[d] && !(d < CLIENTS && finished[(d < CLIENTS -> d : 0)]) -> \
	dead[d] = 1; crashes++; if :: d >= CLIENTS -> server_died = 1 :: else fi }

proctype fate() {
	do
	:: break
	:: KILL(0)
	:: KILL(1)
	od
}

proctype judge() {
	byte n;
	timeout -> d_step {
		n = 0;
		do :: n < CLIENTS -> assert(dead[n] || finished[n]); n++ :: else -> break od;
		assert(state == FREE)
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
