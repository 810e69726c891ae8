"""Publishes numbered messages as fast as it can: NAME SLOTS SLOT_SIZE SECONDS.

Prints `ready`, waits for a line, floods, prints how many it sent, and stays until its input ends.
"""
import struct
import sys
import time

from shm_comm import Publisher

name, slots, slot_size, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
words = (slot_size - 4) // 8
with Publisher(name, num_slots=slots, slot_size=slot_size) as publisher:
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end:
        publisher.send_bytes(struct.pack("<Q", sent) * words)
        sent += 1
    print(sent, flush=True)
    sys.stdin.read()
