"""The ends of native channels: publish/subscribe, push/pull and request/reply with numpy's types.

A message is anything that its dtype can hold without loss: a record, an array, a number, a tuple, a dict, a dataclass,
or the bytes of the layout. A received message is a record or an array that refers to memory of its own.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, AsyncIterator, Callable, Iterator, TypeVar

from . import _logging, _native
from ._closing import Closing
from ._formats import Resolved, agreed, stated
from ._sample import Sample
from ._schema import Schema
from .exceptions import DisconnectedError, NotFoundError, TimeoutError, TypeMismatchError


def _full_name(name: str, namespace: str | None) -> str:
    namespace = os.environ.get("SHMCOMM_NAMESPACE", "") if namespace is None else namespace
    return f"{namespace}/{name}" if namespace else name


def _schema(of: Any, channel: str) -> Schema:
    return of if isinstance(of, Schema) else Schema(of, channel.rsplit("/", 1)[-1])


def _stated(channel: str, part: int = 0) -> Schema:
    """Returns the schema that the segment of a channel states."""
    facts = _native.describe(channel)
    if facts is None:
        error = NotFoundError(f"channel `{channel}`: there is no such channel")
        error.channel = channel
        raise error
    return stated(facts, part)


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


class _Receiver(_End):
    """An end that receives messages."""

    #: Layout of the messages, as the program reads them.
    schema: Schema
    _pending: asyncio.Future[Any] | None = None

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Fields that are ``ignored`` or ``widened``, if the segment has another layout than the program; else ``{}``."""
        return self.schema.resolution if isinstance(self.schema, Resolved) else {}

    def recv(self, timeout: float | None = None) -> Any:
        """Returns the next message, or ``None`` if none came in time.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.
        """
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

        If the task is cancelled, no message is lost: the next call returns it.
        """
        while True:
            if self._pending is None:
                message = self.recv(0)
                if message is not None:
                    return message
                self._pending = asyncio.get_running_loop().run_in_executor(None, self.recv, 0.1)
            pending = self._pending
            try:
                message = await asyncio.shield(pending)
            except asyncio.CancelledError:
                raise
            except BaseException:
                self._pending = None
                raise
            self._pending = None
            if message is not None:
                return message

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
        return bool(self._native.send(self.schema.pack(message), timeout))

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
    """A puller of a queue. Use :func:`puller`. A job that :meth:`recv` returns is done."""

    def __init__(self, channel: str, schema: Schema, native: _native.NativePuller) -> None:
        super().__init__(channel, native)
        self.schema = schema


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

        An exception of the handler drops the request, so that its requester does not wait, and is raised here.

        Returns:
            ``False`` if no request came within *timeout* seconds.
        """

        def answer(payload: bytes) -> bytes:
            return self.reply_schema.pack(handler(self.request_schema.unpack(payload)))

        return bool(self._native.serve(answer, timeout))

    def serve_forever(self, handler: Callable[[Any], Any]) -> None:
        """Answers requests until the handler raises an exception, or Ctrl-C."""
        while True:
            self.serve(handler)

    @property
    def served(self) -> int:
        """Number of requests that were answered."""
        return int(self._native.served)


def publisher(
    name: str,
    schema: Any = None,
    *,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    publishers: int = 1,
    waits: bool = False,
    namespace: str | None = None,
) -> Publisher:
    """Opens the publisher of a channel, and creates the channel if it does not exist.

    Args:
        name:       Name of the channel.
        schema:     Layout of the messages: a numpy dtype, a dataclass, a :class:`Schema`, a :class:`Tail`, ``bytes``,
                    :data:`MSGPACK` or :data:`PICKLE`. ``None`` takes the layout of a channel that exists.
        slots:      Number of slots, a power of two; 64 by default.
        slot_size:  Largest message in bytes, if the schema does not say it; 4096 by default.
        seats:      Largest number of participants at a time.
        publishers: Number of publishers that may be open at a time, 1 to 32.
        waits:      ``True`` makes the publisher wait for its subscribers, so that no message is lost.
        namespace:  Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.

    Raises:
        SetUpError: For example :class:`AlreadyPublishedError`.
        SchemaError: *schema* cannot be the layout of a message.

    >>> import numpy as np
    >>> with publisher("doc/imu", ("<f4", 3)) as imu, subscriber("doc/imu") as received:
    ...     imu.send(np.array([0.0, 0.0, 9.75], dtype="f4"))
    ...     received.recv(timeout=1.0)
    True
    array([0.  , 0.  , 9.75], dtype=float32)
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    wanted = _stated(channel) if schema is None else _schema(schema, channel)
    native = _native.NativePublisher(
        channel, None if schema is None else wanted.text, (slots, slot_size, seats), publishers, waits
    )
    return Publisher(channel, wanted, native)


def subscriber(
    name: str, schema: Any = None, *, timeout: float = 5.0, history: int = 0, namespace: str | None = None
) -> Subscriber:
    """Opens a subscriber of a channel. The layout comes from the segment.

    Args:
        name:      Name of the channel.
        schema:    Layout that the program requires, or a dataclass as which messages are returned. Messages of another
                   layout are converted by the rules of evolution, or refused with the name of the field. ``None`` takes
                   any layout.
        timeout:   Seconds to wait for the channel.
        history:   Number of messages from before to receive first, if the segment still has them.
        namespace: Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.

    Raises:
        NotFoundError: There is no such channel within *timeout*.
        TypeMismatchError: *schema* cannot read the layout of the channel.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    native = _native.NativeSubscriber(channel, timeout, history)
    return Subscriber(channel, _agreed(channel, schema, native), native)


def _agreed(channel: str, schema: Any, native: Any, part: int = 0) -> Schema:
    """Returns how the program reads the messages of the segment. Closes the end if it cannot."""
    try:
        found = _stated(channel, part)
        return found if schema is None else agreed(found, _schema(schema, channel), channel)
    except BaseException:
        native.close()
        raise


def pusher(
    name: str,
    schema: Any = None,
    *,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
) -> Pusher:
    """Opens a pusher of a queue, and creates the queue if it does not exist. See :func:`publisher`.

    Raises:
        TypeMismatchError: The queue exists with another layout.

    >>> with pusher("doc/jobs", "<i8") as jobs, puller("doc/jobs") as worker:
    ...     jobs.send(7)
    ...     worker.recv(timeout=1.0)
    True
    np.int64(7)
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    wanted = _stated(channel) if schema is None else _schema(schema, channel)
    native = _native.NativePusher(channel, None if schema is None else wanted.text, (slots, slot_size, seats))
    return Pusher(channel, wanted, native)


def puller(
    name: str,
    schema: Any = None,
    *,
    timeout: float = 5.0,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
) -> Puller:
    """Opens a puller of a queue. With *schema* it creates the queue if it does not exist; without, it waits for it.

    Raises:
        NotFoundError: There is no such queue within *timeout*, and *schema* is ``None``.
        TypeMismatchError: The queue exists with another layout.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    wanted = None if schema is None else _schema(schema, channel)

    def opened(text: str | None) -> _native.NativePuller:
        return _native.NativePuller(channel, text, (slots, slot_size, seats), timeout)

    try:
        native = opened(None if wanted is None else wanted.text)
    except TypeMismatchError:
        # A queue with another layout, which may be read by the rules of evolution.
        native = opened(None)
    return Puller(channel, _agreed(channel, wanted, native), native)


def requester(
    name: str,
    request: Any = None,
    reply: Any = None,
    *,
    timeout: float = 5.0,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
) -> Requester:
    """Opens a requester of a service. With *request* and *reply* it creates the service if it does not exist.

    Raises:
        NotFoundError: There is no such service within *timeout*, and no layouts are given.
        TypeMismatchError: The service exists with other layouts.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    wanted = _pair(request, reply, channel)

    def opened(texts: tuple[str, str] | None) -> _native.NativeRequester:
        return _native.NativeRequester(channel, texts, (slots, slot_size, seats), timeout)

    native = _exchange(opened, channel, wanted, exact=0)
    first, second = wanted or (None, None)
    return Requester(channel, _agreed(channel, first, native), _agreed(channel, second, native, 1), native)


def replier(
    name: str,
    request: Any = None,
    reply: Any = None,
    *,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
) -> Replier:
    """Opens a replier of a service. With *request* and *reply* it creates the service if it does not exist.

    Raises:
        NotFoundError: There is no such service, and no layouts are given.
        TypeMismatchError: The service exists with other layouts.

    >>> import threading
    >>> with replier("doc/square", "<f8", "<f8") as service, requester("doc/square") as client:
    ...     thread = threading.Thread(target=service.serve, args=(lambda x: x * x,))
    ...     thread.start()
    ...     client.request(1.5)
    ...     thread.join()
    np.float64(2.25)
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    wanted = _pair(request, reply, channel)

    def opened(texts: tuple[str, str] | None) -> _native.NativeReplier:
        return _native.NativeReplier(channel, texts, (slots, slot_size, seats))

    native = _exchange(opened, channel, wanted, exact=1)
    first, second = wanted or (None, None)
    return Replier(channel, _agreed(channel, first, native), _agreed(channel, second, native, 1), native)


def _pair(request: Any, reply: Any, channel: str) -> tuple[Schema, Schema] | None:
    if request is None and reply is None:
        return None
    if request is None or reply is None:
        raise TypeError("give the layouts of request and reply, or neither")
    pair = _schema(request, channel), _schema(reply, channel)
    if (pair[0].layout is None or pair[1].layout is None) and pair[0] != pair[1]:
        raise TypeError("give request and reply both a fixed layout, or the same codec")
    return pair


_E = TypeVar("_E")


def _exchange(
    opened: Callable[[tuple[str, str] | None], _E], channel: str, wanted: tuple[Schema, Schema] | None, exact: int
) -> _E:
    """Opens an end of a service. What it reads may have another layout; part *exact*, which it writes, must not."""
    try:
        return opened(None if wanted is None else (wanted[0].text, wanted[1].text))
    except TypeMismatchError:
        if wanted is None or _stated(channel, exact) != wanted[exact]:
            raise
        return opened(None)
