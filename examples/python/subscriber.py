"""Prints the poses that `cargo run -p shmcomm-examples-python --example python-publisher` publishes."""
from shm_comm import Subscriber

with Subscriber("example-pose") as subscriber:
    while (pose := subscriber.recv(timeout=2.0)) is not None:
        print("python received", pose, flush=True)
