"""Publish/subscribe: every subscriber gets every message that it is fast enough for."""

import atexit as atexit
import logging
import time as time
from typing import Any

from shmcomm import _logging, _native, exceptions
from shmcomm.compat import _ends
from shmcomm.compat.serialize import serialize
from shmcomm.compat.utils import pub_segment_name

# Names that programs import from this module of shm-comm.
from shmcomm.compat import _segment as shared_memory
from shmcomm.compat.buffer import get_stats as get_stats, read_message_spsc as read_message_spsc, write_message as write_message
from shmcomm.compat.core import attach_segment as attach_segment, close_segment as close_segment, create_segment as create_segment
from shmcomm.compat.exceptions import SHMConnectionError as SHMConnectionError, SHMTimeoutError as SHMTimeoutError
from shmcomm.compat.serialize import deserialize as deserialize
from shmcomm.compat.utils import poll_until as poll_until

logger = logging.getLogger("shmcomm.pubsub")
_core_logger = logging.getLogger("shmcomm.core")

_DEFAULT_NUM_SLOTS = 64
_DEFAULT_SLOT_SIZE = 4096


class Publisher(_ends.OneSegment[_native.WirePublisher]):
    """The sending end of a channel. It creates the channel, and :meth:`close` removes it.

    Sending never waits: a message that a subscriber has not received when its slot is needed again is overwritten.

    Args:
        name:          Name of the channel: letters, digits and ``_.-``.
        num_slots:     Number of slots, 2 or more.
        slot_size:     Bytes of a slot; 4 of them are the length.
        serialization: ``"pickle"`` or ``"msgpack"``.

    Raises:
        SHMConnectionError: The channel cannot be created.

    >>> with Publisher("doc-compat-pub") as pub, Subscriber("doc-compat-pub") as sub:
    ...     pub.send({"x": 1.0})
    ...     sub.recv(timeout=1.0)
    True
    {'x': 1.0}
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
        self._shm_name = pub_segment_name(name)
        self._create(
            lambda: _native.WirePublisher(name, num_slots, slot_size), (self._shm_name,), num_slots, slot_size, logger
        )
        logger.info("Publisher('%s') ready — %d slots × %d bytes", name, num_slots, slot_size)

    def send(self, data: Any, *, block: bool = False, timeout: float | None = None) -> bool:
        """Serializes and publishes *data*. *block* and *timeout* have no effect.

        Returns:
            ``True``.

        Raises:
            SHMSerializationError: *data* cannot be serialized.
            ValueError: *data* is longer than a slot.
            SHMConnectionError: Another publisher has taken over the channel, or this one is closed.
        """
        return self.send_bytes(serialize(data, method=self._serialization))

    def send_bytes(self, payload: bytes, *, block: bool = False, timeout: float | None = None) -> bool:
        """Publishes the bytes of any buffer, for :meth:`Subscriber.recv_bytes`. See :meth:`send`."""
        payload = _ends.buffer(payload)
        try:
            self._open().send(payload)
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        _ends.log_written(self._mapped[0], len(payload))
        return True

    def stats(self) -> dict[str, Any]:
        """Returns the counts of the segment: ``head``, ``tail``, ``num_slots``, ``slot_size``, ``msg_count``,
        ``drop_count``, ``used_slots``, ``free_slots``.
        """
        return _ends.counts(self._open())

    def close(self) -> None:
        """Removes the channel. Subscribers stay, and follow the next publisher. A second call has no effect."""
        end = self._take()
        if end is not None:
            end.close()
            _core_logger.info("Destroyed shared memory segment '%s'", self._shm_name)
            logger.info("Publisher('%s') closed", self._name)
            _logging.flush()


class Subscriber(_ends.OneSegment[_native.WireSubscriber]):
    """A receiving end of a channel. It starts with the first message that is sent after it was opened.

    It never receives a message torn, twice or out of order. :attr:`lost` counts the messages that were overwritten
    before it received them. When a publisher is restarted, the subscriber follows it.

    Args:
        name:            Name of the channel.
        timeout_connect: Seconds to wait for the channel.
        serialization:   The publisher's serialization.

    Raises:
        SHMConnectionError: The channel did not appear in time, or the file is not one of this format.
    """

    def __init__(self, name: str, timeout_connect: float = 5.0, serialization: str = "pickle"):
        self._name = name
        self._serialization = serialization
        self._shm_name = pub_segment_name(name)
        self._attach(lambda: _native.WireSubscriber(name, timeout_connect), (self._shm_name,), timeout_connect)
        self._last_tail = 0
        self._last_tail = self._tail
        logger.info("Subscriber('%s') attached, starting tail=%d", name, self._last_tail)

    @property
    def _tail(self) -> int:
        if self._end is None:
            return self._last_tail
        try:
            self._last_tail = int(self._end.stats()["local_tail"])
        except exceptions.ForkedError:
            pass
        return self._last_tail

    @property
    def lost(self) -> int:
        """Messages that were overwritten before this subscriber received them."""
        try:
            return self._open().lost
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc

    def recv(self, timeout: float | None = None) -> Any:
        """Returns the next object, or ``None`` if none came in time.

        Like shm-comm it passes over messages that are ``None`` or ``False``.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            SHMSerializationError: The message cannot be deserialized. The next call returns the message behind it.
        """
        return _ends.receive(self.recv_bytes, timeout, self._serialization)

    def recv_bytes(self, timeout: float | None = None) -> bytes | None:
        """Returns the bytes of the next message, or ``None`` if none came in time. See :meth:`recv`."""
        end = self._open()
        debugging = _ends.debugging()
        try:
            payload = end.recv(timeout)
            if debugging and payload is not None:
                stats = end.stats()
                _ends.log_read(len(payload), (stats["local_tail"] - 1) % stats["num_slots"], stats["num_slots"])
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        return payload

    def stats(self) -> dict[str, Any]:
        """Returns the counts of the segment, and ``local_tail``: the slot that this subscriber reads next."""
        stats = _ends.counts(self._open())
        # As in shm-comm: the slots between the tail and the head of the segment, not those of this subscriber.
        used = (stats["head"] - stats["tail"]) % stats["num_slots"]
        return {**stats, "used_slots": used, "free_slots": stats["num_slots"] - used - 1}

    def close(self) -> None:
        """Leaves the channel. A second call has no effect."""
        self._last_tail = self._tail
        end = self._take()
        if end is not None:
            end.close()
            logger.info("Subscriber('%s') closed", self._name)
            _logging.flush()

    def _try_recv(self) -> Any:
        return self.recv(timeout=0)

    def _try_recv_bytes(self) -> bytes | None:
        return self.recv_bytes(timeout=0)

    def __repr__(self) -> str:
        return f"Subscriber(name={self._name!r}, tail={self._tail})"
