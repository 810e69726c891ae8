"""Push/pull: every job goes to one of the pullers."""

import atexit as atexit
import logging
from typing import Any

from shmcomm import _logging, _native, exceptions
from shmcomm.compat import _ends
from shmcomm.compat.buffer import _full
from shmcomm.compat.serialize import serialize
from shmcomm.compat.sync import FileLock
from shmcomm.compat.utils import push_segment_name

# Names that programs import from this module of shm-comm.
from shmcomm.compat import _segment as shared_memory
from shmcomm.compat.buffer import get_stats as get_stats, read_message_shared_tail as read_message_shared_tail, write_message as write_message
from shmcomm.compat.core import attach_segment as attach_segment, close_segment as close_segment, create_segment as create_segment
from shmcomm.compat.exceptions import SHMTimeoutError as SHMTimeoutError
from shmcomm.compat.serialize import deserialize as deserialize
from shmcomm.compat.utils import poll_until as poll_until

logger = logging.getLogger("shmcomm.pipeline")
_core_logger = logging.getLogger("shmcomm.core")
_buffer_logger = logging.getLogger("shmcomm.buffer")

_DEFAULT_NUM_SLOTS = 128
_DEFAULT_SLOT_SIZE = 4096


class Pusher(_ends.OneSegment[_native.WirePusher]):
    """The sending end of a queue. It creates the queue, and :meth:`close` removes it.

    Args:
        name:          Name of the queue: letters, digits and ``_.-``.
        num_slots:     Number of slots, 2 or more; one of them always stays empty.
        slot_size:     Bytes of a slot; 4 of them are the length.
        serialization: ``"pickle"`` or ``"msgpack"``.

    Raises:
        SHMConnectionError: The queue cannot be created.

    >>> with Pusher("doc-compat-push") as push, Puller("doc-compat-push") as pull:
    ...     push.send({"job": 1})
    ...     pull.recv(timeout=1.0)
    True
    {'job': 1}
    """

    def __init__(
        self,
        name: str,
        num_slots: int = _DEFAULT_NUM_SLOTS,
        slot_size: int = _DEFAULT_SLOT_SIZE,
        serialization: str = "pickle",
    ):
        self._name = name
        self._serialization = serialization
        self._shm_name = push_segment_name(name)
        self._create(
            lambda: _native.WirePusher(name, num_slots, slot_size), (self._shm_name,), num_slots, slot_size, logger
        )
        logger.info("Pusher('%s') ready — %d slots × %d bytes", name, num_slots, slot_size)

    def send(self, data: Any, *, block: bool = True, timeout: float | None = None) -> bool:
        """Serializes *data* and adds it to the queue.

        Args:
            data:    Any object that can be serialized.
            block:   Waits for a free slot if all are full.
            timeout: Seconds of that wait; ``None`` waits forever.

        Returns:
            ``False`` if all slots are full and *block* is ``False``; ``drop_count`` counts that.

        Raises:
            SHMBufferFullError: No slot got free within *timeout*.
            SHMSerializationError: *data* cannot be serialized.
            ValueError: *data* is longer than a slot.
            SHMConnectionError: Another pusher has taken over the queue, or this one is closed.
        """
        return self.send_bytes(serialize(data, method=self._serialization), block=block, timeout=timeout)

    def send_bytes(self, payload: bytes, *, block: bool = True, timeout: float | None = None) -> bool:
        """Adds the bytes of any buffer to the queue, for :meth:`Puller.recv_bytes`. See :meth:`send`."""
        payload = _ends.buffer(payload)
        try:
            sent = self._open().send(payload, block, timeout)
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        if not sent and block:
            raise _full(self._shm_name, timeout or 0.0)
        if sent:
            _ends.log_written(self._mapped[0], len(payload))
        return sent

    def stats(self) -> dict[str, Any]:
        """Returns the counts of the segment: see :meth:`Publisher.stats`."""
        return _ends.counts(self._open())

    def close(self) -> None:
        """Waits until the jobs are taken, for at most 5 s, and removes the queue. A second call has no effect.

        Remaining jobs are discarded, with a warning in the log. Pullers that are attached can still take them.
        """
        end = self._take()
        if end is not None:
            left = end.close(_ends.LINGER)
            if left:
                jobs = "1 job" if left == 1 else f"{left} jobs"
                logger.warning("Pusher('%s') closed with %s that no puller has taken", self._name, jobs)
            _core_logger.info("Destroyed shared memory segment '%s'", self._shm_name)
            logger.info("Pusher('%s') closed", self._name)
            _logging.flush()


class Puller(_ends.OneSegment[_native.WirePuller]):
    """A receiving end of a queue. Any number of pullers may take from it; each job goes to one of them.

    Args:
        name:            Name of the queue.
        timeout_connect: Seconds to wait for the queue.
        serialization:   The pusher's serialization.

    Raises:
        SHMConnectionError: The queue did not appear in time, or the file is not one of this format.
    """

    def __init__(self, name: str, timeout_connect: float = 5.0, serialization: str = "pickle"):
        self._name = name
        self._serialization = serialization
        self._shm_name = push_segment_name(name)
        self._lock = FileLock(self._shm_name)
        lock_path = self._lock._path
        self._attach(
            lambda: _native.WirePuller(name, timeout_connect, lock_path), (self._shm_name,), timeout_connect
        )
        logger.info("Puller('%s') connected", name)

    def recv(self, timeout: float | None = None) -> Any:
        """Takes the next job and returns it, or ``None`` if none came in time.

        Like shm-comm it passes over jobs that are ``None`` or ``False``.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            SHMSerializationError: The job cannot be deserialized. It is taken.
        """
        return _ends.receive(self.recv_bytes, timeout, self._serialization)

    def recv_bytes(self, timeout: float | None = None) -> bytes | None:
        """Takes the next job and returns its bytes, or ``None`` if none came in time. See :meth:`recv`."""
        end = self._open()
        try:
            payload = end.recv(timeout)
            if payload is not None and _ends.debugging():
                stats = end.stats()
                _buffer_logger.debug("Claimed slot %d via shared tail", (stats["tail"] - 1) % stats["num_slots"])
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        return payload

    def stats(self) -> dict[str, Any]:
        """Returns the counts of the segment: see :meth:`Publisher.stats`."""
        return _ends.counts(self._open())

    def close(self) -> None:
        """Leaves the queue. A second call has no effect."""
        end = self._take()
        if end is not None:
            end.close()
            logger.info("Puller('%s') closed", self._name)
            _logging.flush()

    def _try_claim(self) -> Any:
        return self.recv(timeout=0)

    def _try_claim_bytes(self) -> bytes | None:
        return self.recv_bytes(timeout=0)
