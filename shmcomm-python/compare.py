"""Prints how fast this package is beside shm-comm 1.0.0 and iceoryx2: ratios of one run, on this machine.

Run it with an installed wheel: ``pip install shm-comm iceoryx2``, then ``python compare.py``. Each pair of measurements
alternates several times, and the ratio is that of the medians. Without iceoryx2 its lines are left out.
"""

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time
import uuid

import numpy as np
import shm_comm

import shmcomm
import shmcomm.compat

try:
    import iceoryx2
except ImportError:
    iceoryx2 = None

NAME = f"compare-{uuid.uuid4().hex[:8]}"
ROUNDS, COUNT, FRAMES = 7, 4000, 40
MESSAGE = {"x": 1.0, "y": 2.5, "z": 0.5, "count": 7}
RECORD = np.array((1.0, 2.5, 0.5, 7), dtype=[("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("count", "<i8")])[()]


def per_message(send, receive, count=COUNT):
    """Returns the seconds of a send and its receive, in one thread."""
    started = time.perf_counter()
    for _ in range(count):
        send()
        receive()
    return (time.perf_counter() - started) / count


def wire(library, method, message):
    def run():
        with library.Publisher(NAME) as pub, library.Subscriber(NAME) as sub:
            send, receive = (pub.send, sub.recv) if method == "object" else (pub.send_bytes, sub.recv_bytes)
            return per_message(lambda: send(message), lambda: receive(timeout=1))

    return run


def typed(schema, message):
    def run():
        with shmcomm.publisher(NAME, schema) as pub, shmcomm.subscriber(NAME) as sub:
            return per_message(lambda: pub.send(message), lambda: sub.recv(1))

    return run


FRAME = np.full(6 << 20, 7, dtype="u1")
#: Few, so that the measured sends write to memory that was written before: the first write to a slot costs a page fault
#: for each 4 KiB.
SLOTS = 4


class Record(ctypes.Structure):
    """The record for iceoryx2."""

    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double), ("z", ctypes.c_double), ("count", ctypes.c_int64)]


def iceoryx(kind):
    """Returns a function that measures the seconds of a send and its receive with iceoryx2."""

    def run():
        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
        builder = node.service_builder(iceoryx2.ServiceName.new(f"{NAME}/{kind}"))
        message = Record if kind == "record" else iceoryx2.Slice[ctypes.c_uint8]
        service = builder.publish_subscribe(message).open_or_create()
        publisher, sub = service.publisher_builder(), service.subscriber_builder().create()
        pub = publisher.create() if kind == "record" else publisher.initial_max_slice_len(FRAME.nbytes).create()

        def receive():
            sample = sub.receive()
            if kind == "record":
                float(sample.payload().contents.x)
            else:
                slots = np.ctypeslib.as_array((ctypes.c_uint8 * FRAME.nbytes).from_address(sample.payload_ptr))
                slots[-1]
            sample.delete()

        def send():
            if kind == "record":
                pub.send_copy(Record(1.0, 2.5, 0.5, 7))
                return
            loan = pub.loan_slice_uninit(FRAME.nbytes)
            ctypes.memmove(loan.payload_ptr, FRAME.ctypes.data, FRAME.nbytes)
            loan.assume_init().send()

        seconds = per_message(send, receive, COUNT if kind == "record" else FRAMES)
        pub.delete()
        sub.delete()
        return seconds

    return run


class Doorbell:
    """A publisher or a subscriber of iceoryx2, with an event that a process can wait for."""

    def __init__(self, name, publishes):
        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        self.node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
        self.event = self.node.service_builder(iceoryx2.ServiceName.new(name)).event().open_or_create()
        builder = self.node.service_builder(iceoryx2.ServiceName.new(name))
        self.feed = builder.publish_subscribe(ctypes.c_double).open_or_create()
        if publishes:
            self.pub, self.notifier = self.feed.publisher_builder().create(), self.event.notifier_builder().create()
        else:
            self.sub, self.listener = self.feed.subscriber_builder().create(), self.event.listener_builder().create()

    def send(self, number):
        self.pub.send_copy(ctypes.c_double(number))
        self.notifier.notify()

    def recv(self, timeout):
        end = time.monotonic() + timeout
        while (sample := self.sub.receive()) is None:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.listener.timed_wait(iceoryx2.Duration.from_micros(int(left * 1e6)))
        number = sample.payload().contents.value
        sample.delete()
        return number

    def close(self):
        self.__dict__.clear()


def record_read(sub):
    """Receives a record, and reads a number of it."""
    return float(sub.recv(1)["x"])


def read():
    with shmcomm.publisher(NAME, RECORD.dtype) as pub, shmcomm.subscriber(NAME) as sub:
        return per_message(lambda: pub.send(RECORD), lambda: record_read(sub))


def frames(receive):
    """Returns a function that measures a send of 6 MiB, and its receive with a load of the last byte."""

    def run():
        with shmcomm.publisher(NAME, ("u1", FRAME.nbytes), slots=SLOTS) as pub, shmcomm.subscriber(NAME) as sub:
            return per_message(lambda: pub.send(FRAME), lambda: receive(sub), FRAMES)

    return run


def copied(sub):
    sub.recv(1)[-1]


def borrowed(sub):
    with sub.borrow(1) as frame:
        frame[-1]


def filled(loan):
    """Returns a function that measures a message of 6 MiB that the program makes: in its slot, or before a send."""

    def run():
        with shmcomm.publisher(NAME, ("u1", FRAME.nbytes), slots=SLOTS) as pub, shmcomm.subscriber(NAME) as sub:

            def in_slot():
                with pub.loan() as frame:
                    frame[:] = 7

            def before():
                frame = np.empty(FRAME.nbytes, dtype="u1")
                frame[:] = 7
                pub.send(frame)

            return per_message(in_slot if loan else before, lambda: borrowed(sub), FRAMES)

    return run


WAKER = """
import sys, time, {module}
kind, name = sys.argv[1:]
if kind == "iceoryx2":
    sys.path.insert(0, {here!r}); import compare; pub = compare.Doorbell(name, True)
    send = lambda: pub.send(time.perf_counter())
elif kind == "old":
    import shm_comm; pub = shm_comm.Publisher(name); send = lambda: pub.send(time.perf_counter())
else:
    import shmcomm; pub = shmcomm.publisher(name, "<f8"); send = lambda: pub.send(time.perf_counter())
print("ready", flush=True); sys.stdin.readline()
for _ in range(200):
    time.sleep(0.003); send()
sys.stdin.readline()
pub.close()
"""


def wake_up(kind):
    """Returns a function that measures the seconds from a send to the return of a receive that waits."""

    def run():
        module = {"old": "shm_comm", "new": "shmcomm", "iceoryx2": "iceoryx2"}[kind]
        here = os.path.dirname(os.path.abspath(__file__))
        other = subprocess.Popen(
            [sys.executable, "-c", WAKER.format(module=module, here=here), kind, NAME],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        other.stdout.readline()
        make = {"old": shm_comm.Subscriber, "new": shmcomm.subscriber, "iceoryx2": lambda name: Doorbell(name, False)}
        sub = make[kind](NAME)
        other.stdin.write("go\n")
        other.stdin.flush()
        times = []
        while len(times) < 200 and (sent := sub.recv(timeout=2)) is not None:
            times.append(time.perf_counter() - float(sent))
        sub.close()
        other.communicate("end\n")
        return statistics.median(times)

    return run


def idle(opened, receive):
    """Returns a function that measures the share of a processor while a receive waits for a second."""

    def run():
        with opened() as ends:
            before = resource.getrusage(resource.RUSAGE_SELF)
            receive(ends)
            after = resource.getrusage(resource.RUSAGE_SELF)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return run


class Pair:
    """A publisher and a subscriber."""

    def __init__(self, pub, sub):
        self.pub, self.sub = pub(), sub()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sub.close()
        self.pub.close()


def compared(title, ours, theirs, unit, scale, rounds=ROUNDS):
    results = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(column) for column in zip(*results))
    print(f"{title:50} {mine * scale:10.2f} {other * scale:10.2f} {unit:4} {other / max(mine, 1e-9):7.1f} x")


def main():
    print(f"{'':50} {'shmcomm':>10} {'shm-comm':>10}")
    dicts, compat_dicts = (wire(library, "object", MESSAGE) for library in (shm_comm, shmcomm.compat))
    raw, compat_raw = (wire(library, "bytes", b"x" * 64) for library in (shm_comm, shmcomm.compat))
    compared("typed numpy record, beside a dict", typed(RECORD.dtype, RECORD), dicts, "µs", 1e6)
    compared("bytes, beside bytes", typed(bytes, b"x" * 64), raw, "µs", 1e6)
    compared("dict with shmcomm.compat, beside a dict", compat_dicts, dicts, "µs", 1e6)
    compared("bytes with shmcomm.compat, beside bytes", compat_raw, raw, "µs", 1e6)
    compared("wake-up of a waiting process", wake_up("new"), wake_up("old"), "µs", 1e6, 3)
    new = idle(
        lambda: Pair(lambda: shmcomm.publisher(NAME, "<f8"), lambda: shmcomm.subscriber(NAME)),
        lambda ends: ends.sub.recv(1.0),
    )
    old_idle = idle(
        lambda: Pair(lambda: shm_comm.Publisher(NAME), lambda: shm_comm.Subscriber(NAME)),
        lambda ends: ends.sub.recv(timeout=1.0),
    )
    compared("processor time of a second of waiting", new, old_idle, "ms", 1e3, 3)
    print(f"{'':50} {'borrow':>10} {'recv':>10}")
    compared("frame of 6 MiB, received without and with a copy", frames(borrowed), frames(copied), "µs", 1e6)
    print(f"{'':50} {'loan':>10} {'send':>10}")
    compared("frame of 6 MiB, made in its slot and before", filled(True), filled(False), "µs", 1e6)
    if iceoryx2 is None:
        print("iceoryx2 is not installed: not compared")
        return
    print(f"{'':50} {'shmcomm':>10} {'iceoryx2':>10}")
    compared("record of 32 bytes, and a load of a number", read, iceoryx("record"), "µs", 1e6)
    compared("frame of 6 MiB, and a load of the last byte", frames(borrowed), iceoryx("frame"), "µs", 1e6)
    compared("wake-up of a waiting process", wake_up("new"), wake_up("iceoryx2"), "µs", 1e6, 3)
    iceoryx_idle = idle(
        lambda: Pair(lambda: Doorbell(NAME, True), lambda: Doorbell(NAME, False)), lambda ends: ends.sub.recv(1.0)
    )
    compared("processor time of a second of waiting", new, iceoryx_idle, "ms", 1e3, 3)


if __name__ == "__main__":
    main()
