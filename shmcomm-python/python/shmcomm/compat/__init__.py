"""The API of shm-comm 1.0.0, name by name, on the channels of this library.

Change one import, and a program that uses shm-comm uses this library::

    import shmcomm.compat as shm_comm

The segments have the same names and the same format, so that processes with shm-comm 1.0.0 and processes with this
module exchange messages. The page ``docs/python-package.md`` of the repository lists what differs.

>>> import shmcomm.compat as shm_comm
>>> pub = shm_comm.Publisher("doc-compat")
>>> sub = shm_comm.Subscriber("doc-compat")
>>> pub.send({"value": 42})
True
>>> sub.recv(timeout=1.0)
{'value': 42}
>>> sub.close(); pub.close()
"""

__version__ = "1.0.0"

from shmcomm.compat import buffer, core, exceptions, patterns, serialize, sync, utils
from shmcomm.compat.exceptions import (
    SHMBufferFullError,
    SHMConnectionError,
    SHMError,
    SHMSerializationError,
    SHMTimeoutError,
)
from shmcomm.compat.patterns.pipeline import Puller, Pusher
from shmcomm.compat.patterns.pubsub import Publisher, Subscriber
from shmcomm.compat.patterns.reqrep import Replier, Requester
from shmcomm.compat.utils import force_unlink, list_segments

__all__ = [
    "Publisher",
    "Subscriber",
    "Requester",
    "Replier",
    "Pusher",
    "Puller",
    "SHMError",
    "SHMConnectionError",
    "SHMTimeoutError",
    "SHMBufferFullError",
    "SHMSerializationError",
    "force_unlink",
    "list_segments",
]
