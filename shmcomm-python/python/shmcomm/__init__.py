"""Typed shared-memory channels between processes of one machine, in Python and Rust.

>>> import numpy as np, shmcomm
>>> pose = np.dtype([("x", "<f8"), ("y", "<f8")])
>>> with shmcomm.publisher("doc/pose", pose) as poses, shmcomm.subscriber("doc/pose") as received:
...     poses.send((1.0, 2.5))
...     received.recv(timeout=1.0)["y"]
True
np.float64(2.5)

:mod:`shmcomm.compat` has the API of the Python library shm-comm 1.0.0: ``import shmcomm.compat as shm_comm``.
"""

from __future__ import annotations

from . import _native
from ._channels import (
    Publisher,
    Puller,
    Pusher,
    Replier,
    Replies,
    Requester,
    Subscriber,
)
from ._formats import MSGPACK, PICKLE, Tail, Tailed
from ._job import Job
from ._loan import Loan
from ._open import publisher, puller, pusher, replier, requester, subscriber, table_reader, table_writer
from ._sample import Sample
from ._schema import Schema, as_python
from ._segments import Cleanup, Participant, SegmentInfo, clean, force_unlink, list_segments
from ._table import KeyChanges, Latest, TableReader, TableWriter
from ._waitset import Ready, WaitSet
from .exceptions import (
    AccessError,
    AlreadyPublishedError,
    BusyError,
    ChannelMismatchError,
    ClosedError,
    DisconnectedError,
    Error,
    ForkedError,
    FullError,
    InvalidGeometryError,
    InvalidMessageError,
    InvalidNameError,
    LoanOpenError,
    MessageTooLongError,
    NoRequestError,
    NoSeatError,
    NoSpaceError,
    NotASegmentError,
    NotFoundError,
    OperatingSystemError,
    OperationError,
    PeerDiedError,
    ReplacedError,
    SampleHeldError,
    SchemaError,
    SetUpError,
    StoppedError,
    StreamEndedError,
    TimeoutError,
    TypeMismatchError,
    UnknownKeyError,
    UnsupportedError,
    VersionError,
)

__version__: str = _native.VERSION

__all__ = [
    "AccessError",
    "AlreadyPublishedError",
    "BusyError",
    "ChannelMismatchError",
    "Cleanup",
    "ClosedError",
    "DisconnectedError",
    "Error",
    "ForkedError",
    "FullError",
    "InvalidGeometryError",
    "InvalidMessageError",
    "InvalidNameError",
    "Job",
    "KeyChanges",
    "Latest",
    "Loan",
    "LoanOpenError",
    "MSGPACK",
    "MessageTooLongError",
    "NoRequestError",
    "NoSeatError",
    "NoSpaceError",
    "NotASegmentError",
    "NotFoundError",
    "OperatingSystemError",
    "OperationError",
    "PICKLE",
    "Participant",
    "PeerDiedError",
    "Publisher",
    "Puller",
    "Pusher",
    "Ready",
    "ReplacedError",
    "Replier",
    "Replies",
    "Requester",
    "Sample",
    "SampleHeldError",
    "Schema",
    "SchemaError",
    "SegmentInfo",
    "SetUpError",
    "StoppedError",
    "StreamEndedError",
    "Subscriber",
    "TableReader",
    "TableWriter",
    "Tail",
    "Tailed",
    "TimeoutError",
    "TypeMismatchError",
    "UnknownKeyError",
    "UnsupportedError",
    "VersionError",
    "WaitSet",
    "as_python",
    "clean",
    "force_unlink",
    "list_segments",
    "publisher",
    "puller",
    "pusher",
    "replier",
    "requester",
    "subscriber",
    "table_reader",
    "table_writer",
]
