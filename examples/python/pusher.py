"""Pushes the jobs of `cargo run -p shmcomm-examples-python --example python-workers`."""
import time

from shm_comm import Pusher

with Pusher("example-jobs") as pusher:
    for number in range(1000):
        pusher.send({"number": number})
    # When Python's pusher leaves, it discards messages that no puller has taken.
    while pusher.stats()["used_slots"] > 0:
        time.sleep(0.01)
    time.sleep(0.1)
