"""The three patterns of typed channels, in one program. A Rust program can take any of the ends.

Build and install the package first: `.ci/python wheel`, then `pip install target/wheels/shmcomm-*.whl`.
"""
import threading

import numpy as np
import shmcomm

POSE = np.dtype([("stamp", "<M8[ns]"), ("xyz", "<f4", 3), ("quality", "<u4")])

# Publish/subscribe: the layout of the subscriber comes from the segment.
with shmcomm.publisher("example/pose", POSE) as poses, shmcomm.subscriber("example/pose") as received:
    poses.send({"stamp": np.datetime64("now", "ns"), "xyz": (1.0, 2.0, 0.5), "quality": 7})
    pose = received.recv(timeout=1.0)
    print("pose", pose["xyz"], "at", pose["stamp"])

# Push/pull: every job goes to one of the pullers.
with shmcomm.pusher("example/jobs", "<i8") as jobs, shmcomm.puller("example/jobs") as worker:
    jobs.send(7)
    print("job", worker.recv(timeout=1.0))

# Request/reply.
with shmcomm.replier("example/norm", ("<f8", 2), "<f8") as service, shmcomm.requester("example/norm") as client:
    server = threading.Thread(target=service.serve, args=(lambda pair: (pair**2).sum() ** 0.5,))
    server.start()
    print("norm", client.request((3.0, 4.0), timeout=5.0))
    server.join()
