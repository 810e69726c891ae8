"""An end of a channel of shm-comm 1.0.0. Reads "from count" from its input and answers with a line:
for a ping, the nanoseconds of each round trip. An empty line ends it."""

import os
import sys
import time

from shm_comm import Publisher, Subscriber


def subscribe(name):
    """As often as it takes: an attach that meets a half-made segment fails."""
    until = time.monotonic() + 20.0
    while True:
        try:
            return Subscriber(name, timeout_connect=20.0)
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


role, name, cpu = sys.argv[1:]
# "publish" is heard by a process that looks for this very name.
mine, other = {
    "ping": (name + "-ping", name + "-pong"),
    "pong": (name + "-pong", name + "-ping"),
    "publish": (name, None),
}[role]
publisher = Publisher(mine)
subscriber = other and subscribe(other)
try:
    os.sched_setaffinity(0, {int(cpu)})
except OSError:
    pass
print(flush=True)

for line in sys.stdin:
    if not line.strip():
        break
    first, count = map(int, line.split())
    took = []
    for number in range(first, first + count):
        if role == "publish":
            time.sleep(0.0002)
            publisher.send(time.monotonic_ns())
        elif role == "ping":
            time.sleep(0.0002)
            began = time.monotonic_ns()
            publisher.send_bytes(bytes(56) + number.to_bytes(8, "little"))
            got = subscriber.recv_bytes(timeout=10.0)
            took.append(time.monotonic_ns() - began)
            assert int.from_bytes(got[56:], "little") == number
        else:
            publisher.send_bytes(subscriber.recv_bytes(timeout=10.0))
    print(*took, flush=True)

if subscriber:
    subscriber.close()
publisher.close()
