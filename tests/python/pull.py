"""Pulls numbers: NAME CODEC. Prints `ready`, then waits for a line. Ends when nothing came for two
seconds, and prints what it got."""
import sys

from shm_comm import Puller

name, codec = sys.argv[1:3]
puller = Puller(name, timeout_connect=60.0, serialization=codec)
print("ready", flush=True)
sys.stdin.readline()
numbers = []
while (job := puller.recv(timeout=2.0)) is not None:
    numbers.append(job["number"])
print(*numbers, flush=True)
