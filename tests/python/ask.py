"""Asks for the doubles of the numbers below COUNT: NAME CODEC COUNT. Prints `ready`, waits for a line,
asks, prints `done`, or what went wrong."""
import sys

from shm_comm import Requester

name, codec, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
requester = Requester(name, timeout_connect=60.0, serialization=codec)
print("ready", flush=True)
sys.stdin.readline()
for n in range(count):
    reply = requester.request({"n": n}, timeout=30.0)
    if reply != {"twice": 2 * n}:
        print(f"{n} was answered by {reply}", flush=True)
        break
else:
    print("done", flush=True)
