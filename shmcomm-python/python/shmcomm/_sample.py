"""Messages in place: arrays that refer to the slot of a message."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import numpy as np

from . import _native
from ._formats import Tail
from ._schema import Schema


#: ``True`` if reference counts are exact: ``leave`` needs them. Since Python 3.14 the interpreter borrows references, and
#: without the GIL it defers counts.
COUNTS = sys.version_info < (3, 14) and bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Sample:
    """A message in its slot. Use :meth:`Subscriber.borrow`.

    The publisher does not write to the slot until the sample is released and all arrays of it are gone. A subscriber
    has one sample at a time; it receives copies meanwhile. A small message is a private copy with the same rules.

    As a context manager it gives a read-only array, and releases the slot at the end of the block. The array is empty
    then. Views of the array, such as ``array[10:]``, stay valid, and keep the slot until they are gone. Since Python
    3.14 the array stays valid too, and keeps the slot until it is gone.

    The sample may outlive its subscriber, which then keeps its seat. After ``fork`` the child must not read an array
    of a sample: its memory is not there, and the child ends with SIGSEGV. New arrays raise
    :class:`~shmcomm.ForkedError` there.
    """

    def __init__(self, schema: Schema, native: _native.NativeSample) -> None:
        #: Layout of the message.
        self.schema = schema
        self._native = native

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The message as a read-only array; a struct or a number has the shape ``()``, and bytes are ``uint8``.

        Raises:
            BufferError: The message was released.
            ForkedError: This is the child of a fork.
        """
        native: Any = self._native
        return self.schema._view(memoryview(native))

    @property
    def header(self) -> Any:
        """The header of a message with a tail, as a copy. :attr:`array` has the items.

        Raises:
            TypeError: The messages of the channel have no tail.
            BufferError: The message was released.
        """
        if not isinstance(self.schema, Tail):
            raise TypeError("messages of this channel have no header")
        native: Any = self._native
        with memoryview(native) as view:
            return self.schema.header.unpack(view[: self.schema._at].tobytes())

    @property
    def released(self) -> bool:
        """``True`` if the slot is free."""
        return not self._native.alive

    @property
    def in_slot(self) -> bool:
        """``True`` if the message is in its slot, and ``False`` if it is a private copy, or was released."""
        return self._native.in_slot

    def release(self) -> None:
        """Releases the slot. A second call has no effect.

        Raises:
            BufferError: Arrays of the message exist; the text has their number.
        """
        self._native.release()

    def __enter__(self) -> np.ndarray[Any, Any]:
        try:
            array = self.array
            self._native.enter(array)
        except BaseException:
            # `with` does not call `__exit__` then.
            self._native.leave(None)
            raise
        return array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._native.leave(sys._getframe(1) if COUNTS else None)

    def __repr__(self) -> str:
        return f"Sample({self.schema!r}, released={self.released})"
