"""What the ends of all patterns have in common: errors, geometry, closing, waiting for an object."""

from __future__ import annotations

import atexit
import logging
import os
import time
from abc import ABC, abstractmethod
from typing import Any, Callable, Generic, Self, TypeVar

from shmcomm import _logging, _native, exceptions
from shmcomm.compat import _segment, core
from shmcomm.compat.buffer import _too_long
from shmcomm.compat.exceptions import SHMConnectionError
from shmcomm.compat.serialize import deserialize
from shmcomm.compat.utils import force_unlink

_T = TypeVar("_T")

#: Seconds that the end of a pusher waits for its jobs to be taken.
LINGER = 5.0


def buffer(payload: Any) -> Any:
    """Returns what the library takes as bytes: *payload* itself, or its bytes if it is a buffer of other items."""
    if isinstance(payload, (bytes, bytearray)):
        return payload
    view = memoryview(payload)
    return view if view.format == "B" and view.ndim == 1 else view.tobytes()


def create(make: Callable[[], _T], segments: tuple[str, ...], logger: logging.Logger) -> _T:
    """Creates an end. An end that has the channel already loses it, as in shm-comm."""
    _logging.follow()
    try:
        try:
            return make()
        except exceptions.AlreadyPublishedError as exc:
            logger.warning("Taking over '%s' from another process or object: %s", segments[0], exc)
            for name in segments:
                force_unlink(name)
            return make()
    except exceptions.Error as exc:
        raise SHMConnectionError(f"Failed to create shared memory '{segments[0]}': {exc}") from exc


def attach(make: Callable[[], _T], segments: tuple[str, ...], timeout: float) -> _T:
    """Attaches an end, with the texts of shm-comm for a missing segment and for a foreign one."""
    _logging.follow()
    try:
        return make()
    except exceptions.NotFoundError as exc:
        missing = [name for name in segments if not os.path.exists(f"/dev/shm/{name}")]
        name = (missing or list(segments))[0]
        last: Exception = _segment._missing(name) if missing else exc
        raise core._unavailable(name, timeout, last) from exc
    except (exceptions.NotASegmentError, exceptions.VersionError) as exc:
        for name in segments:
            explain(name)
        raise SHMConnectionError(str(exc)) from exc
    except exceptions.Error as exc:
        raise SHMConnectionError(str(exc)) from exc


def explain(name: str) -> None:
    """Raises the error of shm-comm if the segment has another magic number or version."""
    try:
        shm = _segment.SharedMemory(name)
    except Exception:
        return
    try:
        if shm.size >= core.HEADER_SIZE:
            core._validate_header(shm)
    finally:
        shm.close()


def translated(exc: exceptions.Error) -> Exception:
    """Returns the exception of shm-comm for an error of the library."""
    if isinstance(exc, exceptions.MessageTooLongError):
        return _too_long(exc.size, exc.capacity)
    return SHMConnectionError(str(exc))


def counts(end: _native.WirePublisher | _native.WireSubscriber | _native.WirePusher | _native.WirePuller) -> dict[str, Any]:
    """Returns the counts of the segment of an end."""
    try:
        return end.stats()
    except exceptions.Error as exc:
        raise translated(exc) from exc


def receive(poll: Callable[[float | None], bytes | None], timeout: float | None, method: str) -> Any:
    """Returns the next object. Like shm-comm it passes over ``None`` and ``False``."""
    deadline = None if timeout is None else time.monotonic() + timeout
    left = timeout
    while True:
        raw = poll(left)
        if raw is None:
            return None
        result = deserialize(raw, method=method)
        if result is not None and result is not False:
            return result
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None


class Mapped:
    """The segment of an end as an object, for programs that use the attribute ``_shm`` of shm-comm.

    It is mapped when it is first used.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._shm: _segment.SharedMemory | None = None

    def get(self) -> _segment.SharedMemory:
        """Returns the segment that has the name now."""
        if self._shm is None:
            try:
                self._shm = _segment.SharedMemory(self._name)
            except FileNotFoundError:
                # The segments of a service have these names while a requester attaches.
                pattern, _, channel = self._name.removeprefix("shmcomm_").partition("_")
                self._shm = _segment.SharedMemory(f"shmcomm_{pattern}~{channel}")
        return self._shm

    def head(self) -> tuple[int, int]:
        """Returns the head and the number of slots."""
        header = core.get_header(self.get())
        return int(header[core.IDX_HEAD]), int(header[core.IDX_NUM_SLOTS])

    def close(self) -> None:
        """Unmaps the segment."""
        if self._shm is not None:
            self._shm.close()
            self._shm = None


_core_logger = logging.getLogger("shmcomm.core")
_buffer_logger = logging.getLogger("shmcomm.buffer")


def log_written(mapped: Mapped, size: int) -> None:
    """Writes shm-comm's record of a message that was written, if the level is ``DEBUG``."""
    if _buffer_logger.isEnabledFor(logging.DEBUG):
        try:
            head, slots = mapped.head()
        except Exception:
            return
        _buffer_logger.debug("Wrote %d bytes to slot %d (head→%d)", size, (head - 1) % slots, head)


def log_read(size: int, slot: int, slots: int) -> None:
    """Writes shm-comm's record of a message that was read, if the level is ``DEBUG``."""
    _buffer_logger.debug("Read %d bytes from slot %d (tail→%d)", size, slot, (slot + 1) % slots)


def debugging() -> bool:
    """Returns ``True`` if records of single messages are wanted."""
    return _buffer_logger.isEnabledFor(logging.DEBUG)


class End(ABC, Generic[_T]):
    """An end of a channel, which is open until :meth:`close`."""

    _name: str
    _end: _T | None
    #: The segment of the channel, or those of the requests and of the replies.
    _mapped: tuple[Mapped, ...]

    def _create(
        self,
        make: Callable[[], _T],
        segments: tuple[str, ...],
        num_slots: int,
        slot_size: int,
        logger: logging.Logger,
    ) -> None:
        """Creates the channel."""
        self._end = create(make, segments, logger)
        self._opened(segments)
        for name in segments:
            _core_logger.info(
                "Created shared memory segment '%s' (%d bytes)", name, core.segment_size(num_slots, slot_size)
            )

    def _attach(self, make: Callable[[], _T], segments: tuple[str, ...], timeout: float) -> None:
        """Attaches to a channel that another end has created."""
        self._end = attach(make, segments, timeout)
        self._opened(segments)
        for name in segments:
            _core_logger.info("Attached to shared memory segment '%s'", name)

    def _opened(self, segments: tuple[str, ...]) -> None:
        self._mapped = tuple(Mapped(name) for name in segments)
        atexit.register(self._atexit_close)

    def _take(self) -> _T | None:
        """Takes the end out to close it. Returns ``None`` if it is closed."""
        end, self._end = self._end, None
        if end is not None:
            atexit.unregister(self._atexit_close)
            for mapped in self._mapped:
                mapped.close()
        return end

    @abstractmethod
    def close(self) -> None:
        """Closes the end. A second call has no effect."""

    def _open(self) -> _T:
        if self._end is None:
            raise SHMConnectionError(f"{self!r} is closed; open another one")
        return self._end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _atexit_close(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._name!r})"


class OneSegment(End[_T]):
    """An end of a channel that has one segment."""

    @property
    def _shm(self) -> _segment.SharedMemory | None:
        return None if self._end is None else self._mapped[0].get()


class TwoSegments(End[_T]):
    """An end of a service, which has a segment for requests and one for replies."""

    @property
    def _req_shm(self) -> _segment.SharedMemory | None:
        return None if self._end is None else self._mapped[0].get()

    @property
    def _rep_shm(self) -> _segment.SharedMemory | None:
        return None if self._end is None else self._mapped[1].get()


__all__ = ["LINGER", "Mapped", "OneSegment", "TwoSegments", "attach", "buffer", "create", "receive", "translated"]
