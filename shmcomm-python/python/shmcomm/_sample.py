"""Messages in place: arrays that refer to the slot of a message."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import Any

import numpy as np

from . import _native
from ._schema import Schema


#: `True` if reference counts are exact: `leave` needs them.
_COUNTS = bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Sample:
    """A message in its slot. Use :meth:`Subscriber.borrow`.

    The publisher does not write to the slot until the sample is released and all arrays of it are gone. A subscriber
    has one sample at a time; it receives copies meanwhile. A small message is a private copy with the same rules.

    As a context manager it gives a read-only array, and releases the slot at the end of the block. The array is empty
    then. Views of the array, such as ``array[10:]``, stay valid, and keep the slot until they are gone.

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
        view = memoryview(native)
        dtype: np.dtype[Any] = np.dtype(np.uint8) if self.schema.dtype is None else self.schema.dtype
        shape: tuple[int, ...] = (view.nbytes,) if self.schema.dtype is None else ()
        while dtype.subdtype is not None:
            dtype, more = dtype.subdtype
            shape += more
        if 0 in shape:
            empty: np.ndarray[Any, Any] = np.empty(shape, dtype=dtype)
            empty.flags.writeable = False
            return empty
        # Views of the result refer to the array from `frombuffer`, and not to the result: see `leave`.
        return np.frombuffer(view, dtype=dtype, count=math.prod(shape)).reshape(shape)

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
        array = self.array
        self._native.enter(array)
        return array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._native.leave(sys._getframe(1) if _COUNTS else None)

    def __repr__(self) -> str:
        return f"Sample({self.schema!r}, released={self.released})"
