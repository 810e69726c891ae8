"""Closing of ends and wait sets: by ``close``, by the end of a ``with`` block, and by the exit of the process."""

from __future__ import annotations

import atexit
import weakref
from types import TracebackType
from typing import Any, Callable, Self

from . import _logging

#: The open objects of this process, which its exit closes.
_open: weakref.WeakSet[Closing] = weakref.WeakSet()


class Closing:
    """An object of the library that is open until it is closed."""

    def __init__(self, native: Any) -> None:
        self._native = native
        #: Calls that follow the close, by the number that removes them.
        self._followers: dict[int, Callable[[], None]] = {}
        _open.add(self)

    def close(self) -> None:
        """Closes the object, and ends the waits of other threads in it. A second call has no effect."""
        _open.discard(self)
        self._native.close()
        while self._followers:
            _, follow = self._followers.popitem()
            follow()
        _logging.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close_all() -> None:
    for one in list(_open):
        one.close()


atexit.register(_close_all)
