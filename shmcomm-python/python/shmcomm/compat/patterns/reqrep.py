"""Request/reply: a replier answers the requests of its requesters."""

import atexit as atexit
import logging
import time
from typing import Any

from shmcomm import _logging, _native, exceptions
from shmcomm.compat import _ends
from shmcomm.compat.core import IDX_TAIL, get_header
from shmcomm.compat.exceptions import SHMTimeoutError
from shmcomm.compat.serialize import serialize
from shmcomm.compat.utils import rep_segment_name, req_segment_name

# Names that programs import from this module of shm-comm.
from shmcomm.compat import _segment as shared_memory
from shmcomm.compat.buffer import get_stats as get_stats, read_message_spsc as read_message_spsc, write_message as write_message
from shmcomm.compat.core import attach_segment as attach_segment, close_segment as close_segment, create_segment as create_segment
from shmcomm.compat.serialize import deserialize as deserialize
from shmcomm.compat.utils import poll_until as poll_until

logger = logging.getLogger("shmcomm.reqrep")

_DEFAULT_NUM_SLOTS = 16
_DEFAULT_SLOT_SIZE = 8192


class Replier(_ends.TwoSegments[_native.WireReplier]):
    """The answering end of a service. It creates the service, and :meth:`close` removes it.

    Any number of requesters may send requests. Each one reads its own replies only.

    Args:
        name:          Name of the service: letters, digits and ``_.-``.
        num_slots:     Number of slots for requests, and for replies, 2 or more.
        slot_size:     Bytes of a slot; 4 of them are the length.
        serialization: ``"pickle"`` or ``"msgpack"``.

    Raises:
        SHMConnectionError: The service cannot be created.

    >>> with Replier("doc-compat-rep") as rep, Requester("doc-compat-rep") as req:
    ...     req.send("ping")
    ...     rep.recv(timeout=1.0)
    ...     rep.send("pong")
    ...     req.recv(timeout=1.0)
    True
    'ping'
    True
    'pong'
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
        self._create(
            lambda: _native.WireReplier(name, num_slots, slot_size, serialization),
            (req_segment_name(name), rep_segment_name(name)),
            num_slots,
            slot_size,
            logger,
        )
        logger.info("Replier('%s') ready", name)

    @property
    def _req_tail(self) -> int:
        shm = self._req_shm
        return 0 if shm is None else int(get_header(shm)[IDX_TAIL])

    def recv(self, timeout: float | None = None) -> Any:
        """Returns the next request, or ``None`` if none came in time.

        Like shm-comm it passes over requests that are ``None`` or ``False``.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            SHMSerializationError: The request cannot be deserialized.
        """
        return _ends.receive(self.recv_bytes, timeout, self._serialization)

    def send(self, data: Any) -> bool:
        """Answers the request that was received last.

        A requester that has sent another request since has given this one up; then the reply is dropped.

        Returns:
            ``True``, or ``False`` if no request waits for a reply.

        Raises:
            SHMSerializationError: *data* cannot be serialized.
            ValueError: *data* is longer than a slot.
            SHMConnectionError: Another replier has taken over the service, or this one is closed.
        """
        return self.send_bytes(serialize(data, method=self._serialization))

    def send_bytes(self, payload: bytes) -> bool:
        """Answers with the bytes of any buffer, for :meth:`Requester.recv_bytes`. See :meth:`send`."""
        payload = _ends.buffer(payload)
        try:
            self._open().send(payload)
        except exceptions.NoRequestError:
            logger.warning("Replier('%s'): there is no request to reply to", self._name)
            return False
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        _ends.log_written(self._mapped[1], len(payload))
        return True

    def recv_bytes(self, timeout: float | None = None) -> bytes | None:
        """Returns the bytes of the next request, or ``None`` if none came in time. See :meth:`recv`."""
        try:
            return self._open().recv(timeout)
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc

    def close(self) -> None:
        """Removes the service. A second call has no effect."""
        end = self._take()
        if end is not None:
            end.close()
            logger.info("Replier('%s') closed", self._name)
            _logging.flush()

    def _try_recv(self) -> Any:
        return self.recv(timeout=0)

    def _try_recv_bytes(self) -> bytes | None:
        return self.recv_bytes(timeout=0)


class Requester(_ends.TwoSegments[_native.WireRequester]):
    """The requesting end of a service.

    A late reply is never taken for the reply to another request. A second :meth:`send` gives the request before it up.

    Args:
        name:            Name of the service.
        timeout_connect: Seconds to wait for the service.
        serialization:   The replier's serialization.

    Raises:
        SHMConnectionError: The service did not appear in time, or the file is not one of this format.
    """

    def __init__(self, name: str, timeout_connect: float = 5.0, serialization: str = "pickle"):
        self._name = name
        self._serialization = serialization
        self._attach(
            lambda: _native.WireRequester(name, timeout_connect),
            (req_segment_name(name), rep_segment_name(name)),
            timeout_connect,
        )
        logger.info("Requester('%s') connected", name)

    @property
    def _rep_tail(self) -> int:
        shm = self._rep_shm
        return 0 if shm is None else int(get_header(shm)[IDX_TAIL])

    def send(self, data: Any) -> bool:
        """Sends a request.

        Returns:
            ``False`` if the replier has not taken as many requests as there are slots.

        Raises:
            SHMSerializationError: *data* cannot be serialized.
            ValueError: *data* is longer than a slot.
        """
        return self.send_bytes(serialize(data, method=self._serialization))

    def send_bytes(self, payload: bytes) -> bool:
        """Sends the bytes of any buffer, for :meth:`Replier.recv_bytes`. See :meth:`send`."""
        payload = _ends.buffer(payload)
        try:
            sent = self._open().send(payload)
        except exceptions.Error as exc:
            raise _ends.translated(exc) from exc
        if sent:
            _ends.log_written(self._mapped[0], len(payload))
        return sent

    def recv(self, timeout: float | None = None) -> Any:
        """Returns the reply to the last request, or ``None`` if it did not come in time.

        If the replier was restarted, the reply will not come: ``None`` at once, with a warning in the log. Without a
        timeout that is :class:`SHMConnectionError`.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            SHMSerializationError: The reply cannot be deserialized.
        """
        return _ends.receive(self.recv_bytes, timeout, self._serialization)

    def recv_bytes(self, timeout: float | None = None) -> bytes | None:
        """Returns the bytes of the reply, or ``None`` if it did not come in time. See :meth:`recv`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return self._open().recv(left)
            except exceptions.NoRequestError:
                # Another thread may send the request meanwhile.
                if left == 0.0:
                    return None
                time.sleep(0.001 if left is None else min(0.001, left))
            except exceptions.PeerDiedError as exc:
                if timeout is None:
                    raise _ends.translated(exc) from exc
                logger.warning("Requester('%s'): %s", self._name, exc)
                return None
            except exceptions.Error as exc:
                raise _ends.translated(exc) from exc

    def request(self, data: Any, timeout: float | None = 5.0) -> Any:
        """Sends a request, waits for its reply, and returns it.

        Raises:
            SHMTimeoutError: No reply came within *timeout* seconds.
        """
        self.send(data)
        reply = self.recv(timeout=timeout)
        if reply is None:
            raise SHMTimeoutError(f"No reply from service '{self._name}' within {timeout or 0.0:.3f}s.")
        return reply

    def close(self) -> None:
        """Leaves the service. A second call has no effect."""
        end = self._take()
        if end is not None:
            end.close()
            logger.info("Requester('%s') closed", self._name)
            _logging.flush()

    def _try_recv(self) -> Any:
        return self.recv(timeout=0)

    def _try_recv_bytes(self) -> bytes | None:
        return self.recv_bytes(timeout=0)
