"""Jobs that a program acknowledges when it has worked on them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from . import _native
from ._schema import Schema


class Job:
    """A job that a puller works on. Use :meth:`Puller.claim`.

    As a context manager it gives the message. The job is done at the end of the block, and returns to the queue after an
    exception. A job that is neither done nor put back returns to the queue when the object is gone.
    """

    def __init__(self, schema: Schema, native: _native.NativeJob) -> None:
        #: Layout of the message.
        self.schema = schema
        self._native = native

    @property
    def message(self) -> Any:
        """The message, as :meth:`Puller.recv` returns it."""
        return self.schema.unpack(self._native.payload)

    @property
    def redelivered(self) -> bool:
        """``True`` if another puller had this job before and did not finish it."""
        return self._native.redelivered

    def done(self) -> None:
        """Acknowledges the job.

        Raises:
            ClosedError: The job was done or put back.
        """
        self._native.done()

    def put_back(self) -> None:
        """Returns the job to the queue for another puller. A second call has no effect."""
        self._native.put_back()

    def __enter__(self) -> Any:
        try:
            return self.message
        except BaseException:
            self.put_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done()
        else:
            self.put_back()

    def __repr__(self) -> str:
        return f"Job({self.schema!r})"
