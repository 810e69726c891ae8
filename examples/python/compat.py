"""The three patterns with `shmcomm.compat`, in one program. Change the import to `import shm_comm`, and it is the same
program with shm-comm 1.0.0.

Build and install the package first: `.ci/python wheel`, then `pip install target/wheels/shmcomm-*.whl`.
"""
import threading

import shmcomm.compat as shm_comm

# Publish/subscribe: every subscriber gets every message.
with shm_comm.Publisher("example-compat") as publisher, shm_comm.Subscriber("example-compat") as subscriber:
    publisher.send({"x": 1.0, "y": 2.5})
    print("received", subscriber.recv(timeout=1.0))

# Push/pull: every job goes to one of the pullers.
with shm_comm.Pusher("example-compat") as pusher, shm_comm.Puller("example-compat") as puller:
    pusher.send({"job": 1})
    print("took", puller.recv(timeout=1.0))

# Request/reply.
with shm_comm.Replier("example-compat") as replier, shm_comm.Requester("example-compat") as requester:

    def serve() -> None:
        replier.send(sum(replier.recv(timeout=5.0)))

    server = threading.Thread(target=serve)
    server.start()
    print("sum", requester.request([1, 2, 3], timeout=5.0))
    server.join()
