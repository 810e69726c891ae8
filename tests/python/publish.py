"""Publishes what it reads: NAME CODEC. Each line of input is a Python expression; for bytes, hex digits.
Prints `ready` once, and `sent` for each."""
import sys

import numpy  # noqa: F401  for the expressions

from shm_comm import Publisher

name, codec = sys.argv[1:3]
raw = codec == "bytes"
with Publisher(name, serialization="pickle" if raw else codec) as publisher:
    print("ready", flush=True)
    for line in sys.stdin:
        if raw:
            publisher.send_bytes(bytes.fromhex(line.strip()))
        else:
            publisher.send(eval(line))
        print("sent", flush=True)
