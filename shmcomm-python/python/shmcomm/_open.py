"""Functions that open the ends of native channels."""

from __future__ import annotations

import math
import operator
import os
from typing import Any, Callable, Mapping, TypeVar

from . import _logging, _native
from ._channels import Publisher, Puller, Pusher, Replier, Requester, Subscriber
from ._resolve import agreed, stated
from ._schema import Schema
from ._table import TableReader, TableWriter, agreed_key, key_schema, key_schemas
from .exceptions import AccessError, InvalidGeometryError, TypeMismatchError

def _full_name(name: str, namespace: str | None) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a channel is a str, and this is a {type(name).__name__}")
    namespace = os.environ.get("SHMCOMM_NAMESPACE", "") if namespace is None else namespace
    return f"{namespace}/{name}" if namespace else name


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


def _number(channel: str, name: str, value: int | None) -> int | None:
    """Returns a setting that the library can take: it checks the rest."""
    if value is None or 0 <= operator.index(value) < 1 << 63:
        return value
    error = InvalidGeometryError(f"channel `{channel}`: a segment cannot be made with `{name}` {value}; give a positive number")
    error.channel = channel
    raise error


def _window(channel: str, window: int | None) -> int | None:
    """Returns the window of a stream of replies. The library takes 0 for a channel without streams."""
    if window == 0:
        error = InvalidGeometryError(f"channel `{channel}`: a `window` of 0; it takes 1 to 65536 replies")
        error.channel = channel
        raise error
    return _number(channel, "window", window)


def _grow(channel: str, grow: int | None) -> int | None:
    """Returns the limit of slots that grow. The library takes 0 for slots that do not."""
    if grow == 0:
        error = InvalidGeometryError(f"channel `{channel}`: a `grow` of 0 bytes; leave it out, or give more than `slot_size`")
        error.channel = channel
        raise error
    return _number(channel, "grow", grow)


def _settings(
    channel: str, slots: int | None, slot_size: int | None, seats: int | None
) -> tuple[int | None, int | None, int | None]:
    if seats is not None and seats >= 1 << 32:
        # Too large for the library's type.
        seats = (1 << 32) - 1
    return _number(channel, "slots", slots), _number(channel, "slot_size", slot_size), _number(channel, "seats", seats)


def _group(channel: str, group: str | None, mode: int | None) -> str | None:
    """Returns the group that shares the channel; ``None`` if it is private."""
    if mode is None or (mode == 0o600 and not group):
        return group or None
    if mode != 0o660:
        error = AccessError(
            f"channel `{channel}`: the mode {mode:#o} cannot be used: take 0o660, for the own user and a group, or 0o600"
            " without a group"
        )
        error.channel = channel
        raise error
    if group:
        return group
    number = os.getegid()
    try:
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


def _schema(of: Any, channel: str) -> Schema:
    return of if isinstance(of, Schema) else Schema(of, channel.rsplit("/", 1)[-1])


def _stated(channel: str, native: Any, part: int | None = None) -> Schema:
    """Returns the schema of the messages of an end, or of part *part*. Closes the end if there is none."""
    try:
        return stated(native.schema if part is None else native.schemas[part])
    except BaseException as exc:
        native.close()
        if isinstance(exc, TypeMismatchError):
            raise _unstated(channel, exc) from None
        raise


def _unstated(channel: str, exc: TypeMismatchError) -> TypeMismatchError:
    facts = _native.describe(channel)
    text = str(exc)
    if facts is not None and facts["version"] == 1:
        text = f"channel `{channel}`: it belongs to shm-comm; use shmcomm.compat"
    error = TypeMismatchError(text)
    error.channel = channel
    return error


def publisher(
    name: str,
    schema: Any = None,
    *,
    slots: int | None = None,
    slot_size: int | None = None,
    grow: int | None = None,
    seats: int | None = None,
    publishers: int = 1,
    waits: bool = False,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> Publisher:
    """Opens the publisher of a channel, and creates the channel if it does not exist.

    Args:
        name:       Name of the channel.
        schema:     Layout of the messages: a numpy dtype, a dataclass, a :class:`Schema`, a :class:`Tail`, ``bytes``,
                    :data:`MSGPACK` or :data:`PICKLE`. ``None`` takes the layout of a channel that exists.
        slots:      Number of slots, a power of two; 64 by default, fewer above 128 KiB.
        slot_size:  Largest message in bytes, if the schema does not say it; 4096 by default.
        grow:       Size in bytes up to which the slots grow when a longer message is sent, for messages without a fixed
                    size: ``slot_size=4096, grow=1 << 20``. ``None``: the slots keep their size.
        seats:      Largest number of participants at a time.
        publishers: Number of publishers that may be open at a time, 1 to 32.
        waits:      ``True`` makes the publisher wait for its subscribers, so that no message is lost.
        namespace:  Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.
        group:      Group of the system whose users share the channel. Only members can open it. Linux only.
        mode:       ``0o660`` shares with *group*, or with the effective group of this process.

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
    group = _group(channel, group, mode)
    settings = _settings(channel, slots, slot_size, seats)
    sending = publishers, waits, _grow(channel, grow)
    wanted = None if schema is None else _schema(schema, channel)
    text = None if wanted is None else wanted.text
    native = _native.NativePublisher(channel, text, settings, sending, group)
    return Publisher(channel, wanted or _stated(channel, native), native)


def subscriber(
    name: str,
    schema: Any = None,
    *,
    timeout: float | None = 5.0,
    history: int = 0,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> Subscriber:
    """Opens a subscriber of a channel. The layout comes from the segment.

    Args:
        name:      Name of the channel.
        schema:    Layout that the program requires, or a dataclass as which messages are returned. Messages of another
                   layout are converted by the rules of evolution, or refused with the name of the field. ``None`` takes
                   any layout.
        timeout:   Seconds to wait for the channel; ``None`` waits forever.
        history:   Number of messages from before to receive first, if the segment still has them.
        namespace: Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.
        group:     Group whose channel it is; without it a private channel comes first. See :func:`publisher`.
        mode:      See :func:`publisher`.

    Raises:
        NotFoundError: There is no such channel within *timeout*.
        TypeMismatchError: *schema* cannot read the layout of the channel.
    """
    if history < 0:
        raise ValueError(f"`history` is {history}; give the number of messages")
    _logging.follow()
    channel = _full_name(name, namespace)
    group = _group(channel, group, mode)
    native = _native.NativeSubscriber(channel, _seconds(timeout), history, group)
    return Subscriber(channel, _agreed(channel, schema, native), native)


def _agreed(channel: str, schema: Any, native: Any, part: int | None = None) -> Schema:
    """Returns how the program reads the messages of the segment. Closes the end if it cannot."""
    found = _stated(channel, native, part)
    try:
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
    grow: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> Pusher:
    """Opens a pusher of a queue, and creates the queue if it does not exist. See :func:`publisher`.

    With *grow* a slot takes more memory when a job is longer than *slot_size*, up to that number of bytes. A job never
    moves, and its puller waits for nothing. If there is no memory left, :meth:`Pusher.send` raises an error, and the
    program keeps the job.

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
    group = _group(channel, group, mode)
    settings = _settings(channel, slots, slot_size, seats)
    wanted = None if schema is None else _schema(schema, channel)
    native = _native.NativePusher(
        channel, None if wanted is None else wanted.text, settings, _grow(channel, grow), group
    )
    return Pusher(channel, wanted or _stated(channel, native), native)


def puller(
    name: str,
    schema: Any = None,
    *,
    timeout: float | None = 5.0,
    slots: int | None = None,
    slot_size: int | None = None,
    grow: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> Puller:
    """Opens a puller of a queue. With *schema* it creates the queue if it does not exist; without, it waits for it.
    See :func:`pusher` for *grow*.

    Raises:
        NotFoundError: There is no such queue within *timeout*, and *schema* is ``None``.
        TypeMismatchError: The queue exists with another layout.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    group = _group(channel, group, mode)
    settings = _settings(channel, slots, slot_size, seats)
    limit = _grow(channel, grow)
    wanted = None if schema is None else _schema(schema, channel)

    def opened(text: str | None) -> _native.NativePuller:
        return _native.NativePuller(channel, text, settings, limit, _seconds(timeout), group)

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
    timeout: float | None = 5.0,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
    window: int | None = None,
) -> Requester:
    """Opens a requester of a service. With *request* and *reply* it creates the service if it does not exist.

    Args:
        window: The replies to a request are a stream, of which so many may be unread. ``None``: a request has one reply.
            Without layouts the channel decides.

    Raises:
        NotFoundError: There is no such service within *timeout*, and no layouts are given.
        TypeMismatchError: The service exists with other layouts.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    group = _group(channel, group, mode)
    settings = _settings(channel, slots, slot_size, seats)
    wanted, streams = _pair(request, reply, channel), _window(channel, window)

    def opened(texts: tuple[str, str] | None) -> _native.NativeRequester:
        return _native.NativeRequester(channel, texts, settings, _seconds(timeout), group, streams)

    native = _exchange(opened, channel, wanted, exact=0)
    first, second = wanted or (None, None)
    return Requester(channel, _agreed(channel, first, native, 0), _agreed(channel, second, native, 1), native)


def replier(
    name: str,
    request: Any = None,
    reply: Any = None,
    *,
    slots: int | None = None,
    slot_size: int | None = None,
    seats: int | None = None,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
    window: int | None = None,
) -> Replier:
    """Opens a replier of a service. With *request* and *reply* it creates the service if it does not exist.

    Args:
        window: As for :func:`requester`.

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

    A request may have a stream of replies:

    >>> with replier("doc/count", "<i8", "<i8", window=4) as service, requester("doc/count") as client:
    ...     thread = threading.Thread(target=service.serve, args=(range,))
    ...     thread.start()
    ...     [int(number) for number in client.stream(3)]
    ...     thread.join()
    [0, 1, 2]
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    group = _group(channel, group, mode)
    settings = _settings(channel, slots, slot_size, seats)
    wanted, streams = _pair(request, reply, channel), _window(channel, window)

    def opened(texts: tuple[str, str] | None) -> _native.NativeReplier:
        return _native.NativeReplier(channel, texts, settings, group, streams)

    native = _exchange(opened, channel, wanted, exact=1)
    first, second = wanted or (None, None)
    return Replier(channel, _agreed(channel, first, native, 0), _agreed(channel, second, native, 1), native)


def table_reader(
    name: str,
    keys: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = 5.0,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> TableReader:
    """Opens a reader of all keys of a table. The keys and their layouts come from the segment.

    Args:
        name:      Name of the table.
        keys:      Layouts as which the program reads the values of some keys: see :func:`table_writer`. Other layouts
                   are converted by the rules of evolution, or refused with the names of the key and the field. The
                   segment names the codec of encoded values. :data:`MSGPACK` or :data:`PICKLE` requires that codec, and
                   names it for a table whose creator did not.
        timeout:   Seconds to wait for the table; ``None`` waits forever.
        namespace: Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.
        group:     Group whose table it is. See :func:`publisher`.
        mode:      See :func:`publisher`.

    Raises:
        NotFoundError: There is no such table within *timeout*.
        UnknownKeyError: The table lacks one of *keys*; the text lists its keys.
        TypeMismatchError: The values of a key cannot be read as declared.
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    native = _native.NativeTableReader(channel, _seconds(timeout), _group(channel, group, mode))
    try:
        return TableReader(channel, key_schemas(channel, native.keys, keys), native)
    except BaseException:
        native.close()
        raise


def table_writer(
    name: str,
    key: str,
    keys: Mapping[str, Any] | None = None,
    *,
    many_writers: bool = False,
    namespace: str | None = None,
    group: str | None = None,
    mode: int | None = None,
) -> TableWriter:
    """Opens the writer of a key of a table. With *keys* it creates the table if it does not exist.

    Args:
        name:         Name of the table.
        key:          The key that this writer stores.
        keys:         All keys of the table, in its order, with the layouts of their values: numpy dtypes, dataclasses,
                      :class:`Schema`, or ``MSGPACK.bounded(size)``. ``None`` takes the keys of a table that exists.
        many_writers: ``True`` declares a table of which several writers may store one key at a time.
        namespace:    Namespace of the channel; by default the value of ``SHMCOMM_NAMESPACE``.
        group:        Group of the system whose users share the table. See :func:`publisher`.
        mode:         See :func:`publisher`.

    Raises:
        AlreadyPublishedError: Another live writer has the key; the text has its process.
        NotFoundError: There is no such table, and *keys* is ``None``.
        UnknownKeyError: The table has no such key; the text lists its keys.
        TypeMismatchError: The table exists with other keys or layouts.
        SchemaError: A layout is not fixed, or cannot be that of a value.

    >>> keys = {"battery": "<f4", "pose": ("<f8", 3)}
    >>> with table_writer("doc/robot", "battery", keys) as battery, table_reader("doc/robot") as robot:
    ...     battery.store(0.75)
    ...     robot.load("battery").value
    ...     robot.load("pose") is None
    1
    np.float32(0.75)
    True
    """
    _logging.follow()
    channel = _full_name(name, namespace)
    group = _group(channel, group, mode)
    wanted = None if keys is None else {one: key_schema(one, of) for one, of in keys.items()}
    texts = None if wanted is None else [(one, schema.text) for one, schema in wanted.items()]
    native = _native.NativeTableWriter(channel, key, texts, many_writers, group)
    try:
        found = stated(native.schema)
        schema = found if wanted is None else agreed_key(channel, key, found, wanted[key])
        return TableWriter(channel, key, schema, native)
    except BaseException:
        native.close()
        raise


def _pair(request: Any, reply: Any, channel: str) -> tuple[Schema, Schema] | None:
    if request is None and reply is None:
        return None
    if request is None or reply is None:
        raise TypeError("give the layouts of request and reply, or neither")
    pair = _schema(request, channel), _schema(reply, channel)
    if (pair[0].layout is None or pair[1].layout is None) and pair[0] != pair[1]:
        raise TypeError("give request and reply both a fixed layout, or the same codec")
    return pair


_E = TypeVar("_E", _native.NativeRequester, _native.NativeReplier)


def _exchange(
    opened: Callable[[tuple[str, str] | None], _E], channel: str, wanted: tuple[Schema, Schema] | None, exact: int
) -> _E:
    """Opens an end of a service. What it reads may have another layout; part *exact*, which it writes, must not."""
    try:
        return opened(None if wanted is None else (wanted[0].text, wanted[1].text))
    except TypeMismatchError:
        if wanted is None:
            raise
        native = opened(None)
        if _stated(channel, native, exact) == wanted[exact]:
            return native
        native.close()
        raise
