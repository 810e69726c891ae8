"""Pushes the jobs of `cargo run --example python-workers`."""
import time

from shm_comm import Pusher

with Pusher("example-jobs") as pusher:
    for number in range(1000):
        pusher.send({"number": number})
    # Python's pusher throws away on leaving what nobody has taken by then.
    while pusher.stats()["used_slots"] > 0:
        time.sleep(0.01)
    time.sleep(0.1)
