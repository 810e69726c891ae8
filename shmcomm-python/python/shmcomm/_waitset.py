"""Waiting for many ends, timers and files at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Hashable, Protocol, Self

from . import _logging, _native
from ._channels import Publisher, Puller, Pusher, Replier, Subscriber


class _File(Protocol):
    def fileno(self) -> int: ...


@dataclass(frozen=True)
class Ready:
    """A member of a :class:`WaitSet` that is ready."""

    #: Key of the member.
    key: Hashable
    #: ``"channel"``, ``"timer"`` or ``"file"``.
    cause: str
    #: Number of times that the time of a timer has come since the last report.
    ticks: int = 0
    #: ``True`` if a read of the file does not block.
    readable: bool = False
    #: ``True`` if a write to the file does not block.
    writable: bool = False


class WaitSet:
    """Waits for any number of ends, timers and files, in one thread or task.

    A member is ready until the program has handled it, as with ``poll``: a wait reports an unread message again. An
    end is ready when it has a message or an error to report, or room for a message. Another process may be faster; so
    receive with ``recv(timeout=0)``. An end that is closed leaves the set.

    A set does not keep its ends open. Each end in a set takes a second mapping of its segment.

    >>> from shmcomm import publisher, subscriber
    >>> with publisher("doc/set", "<i8") as numbers, subscriber("doc/set") as received, WaitSet() as both:
    ...     both.add("number", received)
    ...     both.add_interval("tick", 60.0)
    ...     numbers.send(7)
    ...     [ready.key for ready in both.wait(timeout=1.0)]
    ...     received.recv(timeout=0)
    True
    ['number']
    np.int64(7)
    """

    def __init__(self) -> None:
        self._native = _native.NativeWaitSet()
        self._keys: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}

    def _number(self, key: Hashable) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def add(self, key: Hashable, end: Publisher | Subscriber | Pusher | Puller | Replier) -> None:
        """Adds an end. Several members may have the same key.

        Raises:
            SetUpError: The system has no memory for the second mapping of the segment.
            TypeError: *end* cannot be in a set.
        """
        self._native.add(self._number(key), getattr(end, "_native", end))

    def add_timer(self, key: Hashable, after: float) -> None:
        """Adds a time, *after* seconds from now. It leaves the set when it was reported."""
        self._native.add_timer(self._number(key), after)

    def add_interval(self, key: Hashable, every: float) -> None:
        """Adds the times that are multiples of *every* seconds from now. :attr:`Ready.ticks` counts them."""
        self._native.add_interval(self._number(key), every)

    def add_file(self, key: Hashable, file: int | _File, *, read: bool = True, write: bool = False) -> None:
        """Adds a socket, a pipe or another file. The set keeps a duplicate of its descriptor.

        Raises:
            OSError: The file cannot be waited for, as a file on a disk.
        """
        number = file if isinstance(file, int) else file.fileno()
        self._native.add_fd(self._number(key), number, read, write)

    def remove(self, key: Hashable) -> bool:
        """Removes the members with this key. Returns ``True`` if there was any."""
        number = self._numbers.get(key)
        return number is not None and self._native.remove(number)

    def wait(self, timeout: float | None = None) -> list[Ready]:
        """Waits until a member is ready, and returns the ready members.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Returns:
            An empty list at the end of the time, and if the set has no members.
        """
        found = self._native.wait(timeout)
        return [Ready(self._keys[key], cause, ticks, read, write) for key, cause, ticks, read, write in found]

    async def wait_async(self) -> list[Ready]:
        """Waits like :meth:`wait`; the task waits, not the loop. It needs no thread of the loop's executor."""
        loop = asyncio.get_running_loop()
        number = self.fileno()
        while True:
            ready = self.wait(0)
            if ready or len(self) == 0:
                return ready
            readable = asyncio.Event()
            loop.add_reader(number, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(number)

    def fileno(self) -> int:
        """Returns a descriptor for other event loops: when it is readable, call ``wait(timeout=0)``.

        It stays readable until such a wait finds nothing ready. The descriptor belongs to the set.
        """
        return self._native.fd()

    def close(self) -> None:
        """Ends the set. The ends stay open. A second call has no effect."""
        self._native.close()
        _logging.flush()

    def __len__(self) -> int:
        return self._native.len()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"WaitSet({list(self._numbers)!r})"
