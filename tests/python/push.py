"""Pushes the numbers below COUNT: NAME CODEC COUNT. Prints `ready`, waits for a line, pushes, prints
`pushed`, and stays until its input ends."""
import sys

from shm_comm import Pusher

name, codec, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
pusher = Pusher(name, serialization=codec)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    pusher.send({"number": number})
print("pushed", flush=True)
sys.stdin.read()
