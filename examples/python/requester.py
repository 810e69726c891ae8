"""Asks the service of `cargo run -p shmcomm-examples-python --example python-service`."""
from shm_comm import Requester

with Requester("example-planner") as requester:
    for n in range(20):
        plan = requester.request({"start": [0.0, 0.0], "goal": [float(n), 1.0]}, timeout=2.0)
        print("python received", plan, flush=True)
