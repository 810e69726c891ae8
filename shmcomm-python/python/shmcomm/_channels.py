"""The ends of native channels: publish/subscribe, push/pull and request/reply with numpy's types.

A message is anything that its dtype can hold without loss: a record, an array, a number, a tuple, a dict, a dataclass,
or the bytes of the layout. A received message is a record or an array that refers to memory of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, AsyncIterator, Callable, Iterator

from . import _native
from ._closing import Closing
from ._job import Job
from ._loan import Loan, Private
from ._sample import COUNTS, Sample
from ._schema import Schema
from .exceptions import DisconnectedError, Error, TimeoutError, TypeMismatchError


class _End(Closing):
    """An end with its name. It is closed by ``close``, ``with``, and the exit of the process."""

    def __init__(self, channel: str, native: Any) -> None:
        super().__init__(native)
        self._channel = channel

    @property
    def name(self) -> str:
        """Full name of the channel, with its namespace."""
        return self._channel

    def close(self) -> None:
        """Leaves the channel, and ends the waits of other threads in this end. A second call has no effect."""
        super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._channel!r})"


#: A message or ``None``, and an exception or ``None``.
_Outcome = tuple[Any, BaseException | None]
_Pending = concurrent.futures.Future[_Outcome]


def _result(pending: _Pending) -> Any:
    message, error = pending.result()
    if error is not None:
        raise error
    return message


class _Receiver(_End):
    """An end that receives messages."""

    #: Layout of the messages, as the program reads them.
    schema: Schema
    #: The wait of the tasks that receive, until its message is taken.
    _pending: _Pending | None = None

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Fields that are ``defaulted``, ``ignored`` or ``widened``, if the segment has another layout; else ``{}``."""
        return self.schema.resolution

    def recv(self, timeout: float | None = None) -> Any:
        """Returns the next message, or ``None`` if none came in time.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.
        """
        pending = self._pending
        if pending is not None:
            # A task was cancelled, and its thread may have the next message.
            self._pending = None
            if pending.running() or pending.done():
                message = _result(pending)
                if message is not None:
                    return message
        return self._receive(timeout)

    def _receive(self, timeout: float | None) -> Any:
        payload = self._native.recv(timeout)
        return None if payload is None else self.schema.unpack(payload)

    def __iter__(self) -> Iterator[Any]:
        """Iterates over the messages. It ends when no publisher is left."""
        while True:
            try:
                yield self.recv()
            except DisconnectedError:
                return

    async def recv_async(self) -> Any:
        """Returns the next message; the task waits in a thread of the loop's executor, not the loop.

        If the task is cancelled, no message is lost: the next call of this method or of :meth:`recv` returns it.
        """
        while True:
            pending = self._pending
            if pending is None:
                message = self._receive(0)
                if message is not None:
                    return message
                pending = self._pending = concurrent.futures.Future()
                try:
                    asyncio.get_running_loop().run_in_executor(None, self._wait, pending)
                except BaseException:
                    self._pending = None
                    raise
            await asyncio.shield(asyncio.wrap_future(pending))
            if self._pending is not pending:
                # Another task or a call of `recv` has taken the message.
                continue
            self._pending = None
            message = _result(pending)
            if message is not None:
                return message

    def _wait(self, pending: _Pending) -> None:
        """Waits in a thread of an executor, for a time in which Ctrl-C may end the program."""
        pending.set_running_or_notify_cancel()
        outcome: _Outcome = None, None
        try:
            if self._pending is pending:
                outcome = self._receive(0.05), None
        except BaseException as exc:
            outcome = None, exc
        pending.set_result(outcome)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterates over the messages like :meth:`__iter__`, for ``async for``."""
        while True:
            try:
                message = await self.recv_async()
            except DisconnectedError:
                return
            yield message


class Publisher(_End):
    """The publisher of a channel. Use :func:`publisher`."""

    def __init__(self, channel: str, schema: Schema, native: _native.NativePublisher) -> None:
        super().__init__(channel, native)
        #: Layout of the messages.
        self.schema = schema

    def send(self, message: Any, timeout: float | None = None) -> bool:
        """Publishes a message. It waits only on a channel whose publisher waits for its subscribers.

        Args:
            timeout: Seconds of that wait; ``None`` waits forever.

        Returns:
            ``False`` if subscribers did not make room in time.

        Raises:
            InvalidMessageError: The message does not fit the layout; the text names the field.
            MessageTooLongError: The bytes take more than a slot holds.
        """
        return bool(self._native.send(self.schema._payload(message), timeout))

    def loan(self, items: int | None = None, timeout: float | None = None) -> Loan:
        """Returns room for a message, which is built in its slot and sent without a copy.

        Use it with ``with``, which gives a writable array and sends the message at the end of the block. The contents
        are those of an earlier message. A publisher has one loan at a time, and sends nothing else meanwhile.

        Args:
            items: Number of items of a :class:`Tail`, or of bytes of ``bytes``.
            timeout: Seconds to wait for subscribers; ``None`` waits forever.

        Raises:
            TimeoutError: Subscribers did not make room in time.
            LoanOpenError: The last loan was neither sent nor dropped.
            MessageTooLongError: The message takes more than a slot holds.

        >>> from shmcomm import publisher, subscriber
        >>> with publisher("doc/loan", ("u1", (480, 640))) as camera, subscriber("doc/loan") as frames:
        ...     with camera.loan() as frame:
        ...         frame[:] = 7
        ...     frames.recv(timeout=1.0).mean()
        np.float64(7.0)
        """
        if items is not None and items < 0:
            raise ValueError(f"`items` is {items}; give the number of items or bytes")
        size = self.schema._size(items)
        if not COUNTS:
            return Loan(self.schema, Private(size, lambda payload: self._native.send(payload, timeout)))
        native = self._native.loan(size, timeout)
        if native is None:
            raise TimeoutError(f"channel `{self._channel}`: no slot was free within {timeout} s")
        return Loan(self.schema, native)

    @property
    def subscribers(self) -> int:
        """Number of subscribers that are alive."""
        return int(self._native.subscribers)


class Subscriber(_Receiver):
    """A subscriber of a channel. Use :func:`subscriber`.

    It never receives a message torn, twice or out of order. :attr:`lost` counts the messages that were overwritten
    before it received them. A receive raises :class:`~shmcomm.DisconnectedError` if no publisher is alive and no
    message is left; it can be repeated, and succeeds when a publisher has come back.
    """

    def __init__(self, channel: str, schema: Schema, native: _native.NativeSubscriber) -> None:
        super().__init__(channel, native)
        self.schema = schema

    def borrow(self, timeout: float | None = None) -> Sample:
        """Receives the next message in place, without a copy of a large message.

        Use it with ``with``, which gives a read-only array and releases the slot at the end of the block.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            TimeoutError: No message came in time.
            SampleHeldError: The last sample is not released, or arrays of it exist. No message is taken.
            DisconnectedError: No publisher is alive, and no message is left.

        >>> import numpy as np
        >>> from shmcomm import publisher, subscriber
        >>> with publisher("doc/frame", ("u1", (480, 640))) as camera, subscriber("doc/frame") as frames:
        ...     camera.send(np.full((480, 640), 7, dtype="u1"))
        ...     with frames.borrow(timeout=1.0) as frame:
        ...         frame.mean()
        ...     frame.size
        True
        np.float64(7.0)
        0
        """
        if not self.schema._in_place():
            raise TypeMismatchError(
                f"channel `{self._channel}`: its messages have another layout than this program, and are converted; use "
                "`recv`, or a schema whose fields are the first ones of the segment"
            )
        native = self._native.borrow(timeout)
        if native is None:
            raise TimeoutError(f"channel `{self._channel}`: no message came within {timeout} s")
        return Sample(self.schema, native)

    def latest(self) -> Any:
        """Returns the newest message, also if it was received before; ``None`` if there is none. Never waits."""
        payload = self._native.latest()
        return None if payload is None else self.schema.unpack(payload)

    @property
    def follow_error(self) -> str | None:
        """Reason why receives raise :class:`DisconnectedError` although a publisher is alive; else ``None``.

        The publisher was restarted with another layout than this subscriber found when it was opened: open another one.
        """
        reason: str | None = self._native.follow_error
        return reason

    @property
    def lost(self) -> int:
        """Messages that were overwritten before this subscriber received them."""
        return int(self._native.lost)

    @property
    def received(self) -> int:
        """Messages that this subscriber has received."""
        return int(self._native.received)


class Pusher(_End):
    """A pusher of a queue. Use :func:`pusher`. The queue stays until its jobs are done."""

    def __init__(self, channel: str, schema: Schema, native: _native.NativePusher) -> None:
        super().__init__(channel, native)
        #: Layout of the jobs.
        self.schema = schema

    def send(self, job: Any, timeout: float | None = None) -> bool:
        """Adds a job to the queue.

        Args:
            timeout: Seconds to wait while the queue is full; ``None`` waits forever, 0 does not wait.

        Returns:
            ``False`` if the queue stayed full.

        Raises:
            InvalidMessageError: The job does not fit the layout; the text names the field.
        """
        return bool(self._native.send(self.schema.pack(job), timeout))


class Puller(_Receiver):
    """A puller of a queue. Use :func:`puller`.

    A job that :meth:`recv` returns is done. A job that :meth:`claim` returns is done when the program says so.
    """

    def __init__(self, channel: str, schema: Schema, native: _native.NativePuller) -> None:
        super().__init__(channel, native)
        self.schema = schema

    def claim(self, timeout: float | None = None) -> Job:
        """Claims the next job, which no other puller gets meanwhile.

        Use it with ``with``, which gives the message. The job is done at the end of the block. After an exception, and
        if this process dies, it returns to the queue for another puller. A puller has one job at a time.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Raises:
            TimeoutError: There was no job in time.
            LoanOpenError: The last job is neither done nor put back.

        >>> from shmcomm import puller, pusher
        >>> with pusher("doc/claims", "<i8") as jobs, puller("doc/claims") as worker:
        ...     jobs.send(7)
        ...     with worker.claim(timeout=1.0) as job:
        ...         job * 2
        True
        np.int64(14)
        """
        native = self._native.claim(timeout)
        if native is None:
            raise TimeoutError(f"channel `{self._channel}`: there was no job within {timeout} s")
        return Job(self.schema, native)


class Requester(_End):
    """A requester of a service. Use :func:`requester`."""

    def __init__(self, channel: str, request: Schema, reply: Schema, native: _native.NativeRequester) -> None:
        super().__init__(channel, native)
        #: Layout of the requests.
        self.request_schema = request
        #: Layout of the replies.
        self.reply_schema = reply

    def request(self, message: Any, timeout: float | None = 5.0) -> Any:
        """Sends a request, and returns its reply; ``None`` if it did not come in time.

        Raises:
            PeerDiedError: The replier died with the request. Reported within 50 ms.
            OperationError: The replier dropped the request without a reply.
            InvalidMessageError: The request does not fit the layout; the text names the field.
        """
        payload = self._native.request(self.request_schema.pack(message), timeout)
        return None if payload is None else self.reply_schema.unpack(payload)


    def stream(self, message: Any, timeout: float | None = 5.0) -> Replies:
        """Sends a request, and returns its stream of replies. For channels whose replies are streams.

        A requester has one stream at a time: its end must be received, or it must be cancelled, before the next request.

        Args:
            timeout: Seconds to wait for a free slot.

        Raises:
            TimeoutError: No slot became free in time.
            LoanOpenError: A stream of this requester is open.
            OperationError: A request of the channel has one reply.
            InvalidMessageError: The request does not fit the layout; the text names the field.
        """
        native = self._native.stream(self.request_schema.pack(message), timeout)
        if native is None:
            raise TimeoutError(f"channel `{self._channel}`: no slot became free within {timeout} s")
        return Replies(self._channel, self.reply_schema, native)


class Replies(_Receiver):
    """The replies to one request. Use :meth:`Requester.stream`.

    ``for`` and ``async for`` end when the replier has ended the stream. :meth:`recv` then raises
    :class:`StreamEndedError`. If the replier dies, every reply that it sent is received first, and then
    :class:`PeerDiedError` is raised. :meth:`cancel`, :meth:`close`, the end of a ``with`` block and the end of the object
    tell the replier that no further reply is wanted.
    """

    def __init__(self, channel: str, schema: Schema, native: _native.NativeReplies) -> None:
        super().__init__(channel, native)
        self.schema = schema

    def _receive(self, timeout: float | None) -> Any:
        try:
            payload = self._native.recv(timeout)
        except Error:
            # The stream is over: it leaves the sets that it is in.
            self.close()
            raise
        return None if payload is None else self.schema.unpack(payload)

    def cancel(self) -> None:
        """Tells the replier that no further reply is wanted. A second call has no effect."""
        self.close()


class Replier(_End):
    """A replier of a service. Use :func:`replier`."""

    def __init__(self, channel: str, request: Schema, reply: Schema, native: _native.NativeReplier) -> None:
        super().__init__(channel, native)
        #: Layout of the requests.
        self.request_schema = request
        #: Layout of the replies.
        self.reply_schema = reply

    def serve(self, handler: Callable[[Any], Any], timeout: float | None = None) -> bool:
        """Waits for one request, and answers it with ``handler(request)``.

        If the replies of the channel are streams, the handler returns an iterable, such as a generator. Each of its items is
        a reply, and its end is the end of the stream. A send waits while the requester has as many unread replies as the
        window holds. If the requester cancels, the generator is closed.

        An exception of the handler drops the request, so that its requester does not wait, and is raised here.

        Returns:
            ``False`` if no request came within *timeout* seconds.
        """

        def answer(payload: bytes) -> bytes:
            return self.reply_schema.pack(handler(self.request_schema.unpack(payload)))

        def answers(payload: bytes) -> Iterator[bytes]:
            for reply in handler(self.request_schema.unpack(payload)):
                yield self.reply_schema.pack(reply)

        return bool(self._native.serve(answers if self._native.streams else answer, timeout))

    def serve_forever(self, handler: Callable[[Any], Any]) -> None:
        """Answers requests until the handler raises an exception, or Ctrl-C."""
        while True:
            self.serve(handler)

    @property
    def served(self) -> int:
        """Number of requests that were answered."""
        return int(self._native.served)
