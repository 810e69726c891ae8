"""A table of latest values: two writers, a reader, and a wait for a change. A Rust program can take any of the ends.

Build and install the package first: `.ci/python wheel`, then `pip install target/wheels/shmcomm-*.whl`.
"""
import threading

import numpy as np
import shmcomm

POSE = np.dtype([("x", "<f8"), ("y", "<f8")])
KEYS = {"battery": "<f4", "pose": POSE, "settings": shmcomm.MSGPACK.bounded(256)}

with shmcomm.table_writer("example/robot", "battery", KEYS) as battery, shmcomm.table_reader("example/robot") as robot:
    battery.store(0.75)
    latest = robot.load("battery")
    assert latest is not None
    print("battery", latest.value, "version", latest.version, "at", latest.time)

    # Each key has a writer of its own, which may be in another process.
    with shmcomm.table_writer("example/robot", "pose", KEYS) as pose:
        threading.Timer(0.05, pose.store, [(1.0, 2.5)]).start()
        for key, change in robot.changes("pose", "settings", timeout=0.5):
            print(key, change.value)

    # The writer is gone, and its last value stays. The values of a set were current at one instant.
    for key, value in robot.load_set().items():
        print(key, "no value" if value is None else value.value)

    try:
        robot.load("mode")
    except shmcomm.UnknownKeyError as error:
        print(error)
