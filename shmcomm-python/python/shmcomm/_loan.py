"""Messages that are built in their slots: writable arrays that refer to the slot."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Callable

import numpy as np

from . import _native
from ._formats import Tail
from ._schema import Schema


class Private:
    """Room in memory of its own, for interpreters whose counts of references are not exact. It is copied."""

    def __init__(self, size: int, send: Callable[[bytes], object]) -> None:
        self._room: bytearray | None = bytearray(size)
        self._send = send

    @property
    def alive(self) -> bool:
        """``True`` until the message is sent or dropped."""
        return self._room is not None

    def room(self) -> bytearray:
        """Returns the bytes of the message."""
        if self._room is None:
            raise BufferError("this message was sent or dropped")
        return self._room

    def send(self) -> None:
        """Sends a copy of the message."""
        payload = bytes(self.room())
        self._room = None
        self._send(payload)

    def drop(self) -> None:
        """Sends nothing."""
        self._room = None


class Loan:
    """Room for a message in its slot. Use :meth:`Publisher.loan`.

    As a context manager it gives a writable array, and sends the message at the end of the block. The array is empty
    then. If views of it exist, the block raises ``BufferError`` and sends nothing, because a view could change a message
    that was sent. An exception in the block sends nothing, too. Since Python 3.14 the room is a private copy.
    """

    def __init__(self, schema: Schema, native: _native.NativeLoan | Private) -> None:
        #: Layout of the message.
        self.schema = schema
        self._native = native

    def _buffer(self) -> memoryview:
        native: Any = self._native.room() if isinstance(self._native, Private) else self._native
        return memoryview(native)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The message, or the items of its tail, as a writable array; a struct or a number has the shape ``()``.

        Raises:
            BufferError: The message was sent or dropped.
            ForkedError: This is the child of a fork.
        """
        return self.schema._view(self._buffer())

    @property
    def header(self) -> np.ndarray[Any, Any]:
        """The header of a message with a tail, as a writable array. Delete it before the end of the block.

        Raises:
            TypeError: The messages of the channel have no tail.
        """
        if not isinstance(self.schema, Tail):
            raise TypeError("messages of this channel have no header")
        return self.schema.header._view(self._buffer()[: self.schema._at])

    @property
    def open(self) -> bool:
        """``True`` until the message is sent or dropped."""
        return self._native.alive

    def send(self) -> None:
        """Sends the message.

        Raises:
            BufferError: Arrays of the message exist, or it was sent or dropped.
            InvalidMessageError: The message is not a value of the layout; the text names the field.
        """
        self._native.send()

    def drop(self) -> None:
        """Sends nothing, and frees the slot when no array of it is left. A second call has no effect."""
        self._native.drop()

    def __enter__(self) -> np.ndarray[Any, Any]:
        try:
            array = self.array
            if not isinstance(self._native, Private):
                self._native.enter(array)
        except BaseException:
            self.drop()
            raise
        return array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(self._native, Private):
                self._native.leave(sys._getframe(1))
            if kind is None:
                self.send()
        finally:
            self.drop()

    def __repr__(self) -> str:
        return f"Loan({self.schema!r}, open={self.open})"
