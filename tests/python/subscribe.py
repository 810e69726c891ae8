"""Receives: NAME CODEC, where CODEC is pickle, msgpack or bytes. Prints `ready`, then a line for each
message: its repr, or for bytes its hex digits. Ends with its input, or after a message `end`."""
import sys
import threading
import os

from shm_comm import Subscriber

name, codec = sys.argv[1:3]
raw = codec == "bytes"
subscriber = Subscriber(name, timeout_connect=60.0, serialization="pickle" if raw else codec)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print("ready", flush=True)
while True:
    message = subscriber.recv_bytes() if raw else subscriber.recv()
    if isinstance(message, (str, bytes)) and message in ("end", b"end"):
        break
    print(message.hex() if raw else repr(message), flush=True)
