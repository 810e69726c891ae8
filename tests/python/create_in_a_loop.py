"""Creates the same publisher again and again, with the steps of a creation drawn out: NAME SECONDS."""
import sys
import time
import random

import shm_comm.core as core
from shm_comm import Publisher

create = core.shared_memory.SharedMemory


class Slow(create):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if kwargs.get("create"):
            time.sleep(random.choice([0, 0.0005, 0.002]))


core.shared_memory.SharedMemory = Slow
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[2])
made = 0
while time.monotonic() < end:
    publisher = Publisher(sys.argv[1], num_slots=8, slot_size=257)
    publisher.send({"made": made})
    publisher.close()
    made += 1
print(made, flush=True)
