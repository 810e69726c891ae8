"""Waiting for many ends, timers and files at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import time
import weakref
from dataclasses import dataclass
from typing import Callable, Hashable, Iterator, Protocol

from . import _native
from ._channels import Publisher, Puller, Pusher, Replier, Replies, Subscriber
from ._closing import Closing
from ._table import KeyChanges, TableReader

#: Numbers of the members of all sets.
_numbers = itertools.count()


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


class WaitSet(Closing):
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
        super().__init__(_native.NativeWaitSet())
        #: Keys of the members, by their numbers.
        self._keys: dict[int, Hashable] = {}
        #: Numbers of the members with a key.
        self._members: dict[Hashable, set[int]] = {}
        #: Ends among the members, by their numbers.
        self._ends: dict[int, weakref.ref[Closing]] = {}
        #: Numbers of the timers that leave the set when they are reported.
        self._timers: set[int] = set()
        #: Wakes the tasks that wait in the set.
        self._tasks: set[Callable[[], object]] = set()

    @contextlib.contextmanager
    def _member(self, key: Hashable) -> Iterator[int]:
        """Gives the number of a new member, and forgets it if the block fails."""
        number = next(_numbers)
        # First: it fails if the key cannot be one.
        self._members.setdefault(key, set()).add(number)
        self._keys[number] = key
        try:
            yield number
        except BaseException:
            self._forget(number)
            raise

    def _forget(self, number: int) -> None:
        """Forgets a member that has left the set."""
        key = self._keys.pop(number, None)
        self._timers.discard(number)
        end = self._ends.pop(number, _no_end)()
        if end is not None:
            end._followers.pop(number, None)
        numbers = self._members.get(key, set())
        numbers.discard(number)
        if not numbers:
            self._members.pop(key, None)

    def add(
        self,
        key: Hashable,
        end: Publisher | Subscriber | Pusher | Puller | Replier | Replies | TableReader | KeyChanges,
    ) -> None:
        """Adds an end. Several members may have the same key.

        A stream of replies is ready when it has a reply, or its end. It leaves the set when the end was received. A reader of
        a table is ready while a key was stored since the reader loaded it last, and ``changes`` of a reader for its keys.

        Raises:
            SetUpError: The system has no memory for the second mapping of the segment.
            TypeError: *end* cannot be in a set.
        """
        with self._member(key) as number:
            if isinstance(end, KeyChanges):
                reader = end._reader
                self._native.add_keys(number, reader._native, reader._chosen(end._keys))
                end = reader
            elif isinstance(end, TableReader):
                self._native.add_keys(number, end._native, [])
            else:
                self._native.add(number, getattr(end, "_native", end))
            # An end leaves the set when it is closed, and when it is garbage.
            left = functools.partial(_left, weakref.ref(self), number)
            self._ends[number] = weakref.ref(end, left)
            end._followers[number] = left

    def add_timer(self, key: Hashable, after: float) -> None:
        """Adds a time, *after* seconds from now. It leaves the set when it was reported."""
        with self._member(key) as number:
            self._timers.add(number)
            self._native.add_timer(number, after)

    def add_interval(self, key: Hashable, every: float) -> None:
        """Adds the times that are multiples of *every* seconds from now. :attr:`Ready.ticks` counts them."""
        with self._member(key) as number:
            self._native.add_interval(number, every)

    def add_file(self, key: Hashable, file: int | _File, *, read: bool = True, write: bool = False) -> None:
        """Adds a socket, a pipe or another file. The set keeps a duplicate of its descriptor.

        Raises:
            OSError: The file cannot be waited for, as a file on a disk.
        """
        with self._member(key) as number:
            descriptor = file if isinstance(file, int) else file.fileno()
            self._native.add_fd(number, descriptor, read, write)

    def remove(self, key: Hashable) -> bool:
        """Removes the members with this key. Returns ``True`` if there was any."""
        removed = False
        for number in list(self._members.get(key, ())):
            removed |= bool(self._native.remove(number))
            self._forget(number)
        return removed

    def wait(self, timeout: float | None = None) -> list[Ready]:
        """Waits until a member is ready, and returns the ready members.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Returns:
            An empty list at the end of the time, and if the set has no members.

        Raises:
            ClosedError: The set is closed, also by another thread during the wait.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self._native.wait(timeout)
            ready = [self._ready(*one) for one in found if one[0] in self._keys]
            if ready or not found:
                return ready
            # Another thread has closed or removed what was ready.
            timeout = None if end is None else max(0.0, end - time.monotonic())

    def _ready(self, number: int, cause: str, ticks: int, readable: bool, writable: bool) -> Ready:
        ready = Ready(self._keys.get(number), cause, ticks, readable, writable)
        if number in self._timers:
            self._forget(number)
        return ready

    async def wait_async(self) -> list[Ready]:
        """Waits like :meth:`wait`; the task waits, not the loop. It needs no thread of the loop's executor.

        Several tasks, also of several loops, may wait in one set.
        """
        ready = self.wait(0)
        if ready or len(self) == 0:
            return ready
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        wake = functools.partial(loop.call_soon_threadsafe, readable.set)
        # A loop has one reader for each descriptor. A duplicate stays open when another thread closes the set.
        descriptor = self._native.duplicate_fd()
        try:
            loop.add_reader(descriptor, readable.set)
            self._tasks.add(wake)
            while True:
                readable.clear()
                ready = self.wait(0)
                if ready or len(self) == 0:
                    return ready
                await readable.wait()
        finally:
            self._tasks.discard(wake)
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def fileno(self) -> int:
        """Returns a descriptor for other event loops: when it is readable, call ``wait(timeout=0)``.

        It stays readable until such a wait finds nothing ready. The descriptor belongs to the set.
        """
        return int(self._native.fd())

    def close(self) -> None:
        """Ends the set. The ends stay open. A second call has no effect.

        The waits of other threads and tasks raise :class:`~shmcomm.ClosedError`, of threads within 100 ms.
        """
        super().close()
        for number in list(self._keys):
            self._forget(number)
        for wake in list(self._tasks):
            # The loop of a task may be closed.
            with contextlib.suppress(RuntimeError):
                wake()

    def __len__(self) -> int:
        return int(self._native.len())

    def __repr__(self) -> str:
        return f"WaitSet({list(self._members)!r})"


def _no_end() -> None:
    """Stands for the end of a timer or a file."""


def _left(of: weakref.ref[WaitSet], number: int, _: object = None) -> None:
    """Forgets a member of a set whose end is closed or garbage."""
    one = of()
    if one is not None:
        one._forget(number)
