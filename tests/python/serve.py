"""Doubles numbers: NAME CODEC SLOTS. A request {"n": 3} is answered by {"twice": 6}; with "sleep" it takes
so many seconds. Prints `ready`; ends with its input."""
import sys
import threading
import time

from shm_comm import Replier

name, codec, slots = sys.argv[1], sys.argv[2], int(sys.argv[3])
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
with Replier(name, num_slots=slots, serialization=codec) as replier:
    print("ready", flush=True)
    while not ended.is_set():
        request = replier.recv(timeout=0.05)
        if request is not None:
            time.sleep(request.get("sleep", 0))
            replier.send({"twice": 2 * request["n"]})
