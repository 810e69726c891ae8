"""Tables of latest values: readers of all keys, and the writer of a key."""

from __future__ import annotations

import asyncio
import operator
from typing import Any, AsyncIterator, Iterator, Mapping, NamedTuple

import numpy as np

from . import _native
from ._channels import _End
from ._formats import Bounded, Encoded
from ._resolve import agreed, stated
from ._schema import Schema
from .exceptions import ChannelMismatchError, InvalidMessageError, SchemaError, TypeMismatchError, UnknownKeyError


class Latest(NamedTuple):
    """A value of a table that was loaded."""

    #: The value.
    value: Any
    #: Number of stores of the key up to this one, since the segment was created: 1 for the first value.
    version: int
    #: Time of the store, by the clock of the system: ``datetime64[ns]``.
    time: np.datetime64


class TableReader(_End):
    """A reader of a table. Use :func:`table_reader`.

    Any number of readers may be open: a reader takes no seat, and never delays a writer. If a writer dies, the reader keeps
    the last value. When the table gets a new segment with the same keys, the reader follows it, and versions start at 0.
    """

    def __init__(self, channel: str, schemas: Mapping[str, Schema], native: _native.NativeTableReader) -> None:
        super().__init__(channel, native)
        #: Layouts of the values, by key, in the order of the table.
        self.schemas: dict[str, Schema] = dict(schemas)
        self._indices = {key: index for index, key in enumerate(self.schemas)}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the table, in its order."""
        return tuple(self.schemas)

    def _chosen(self, keys: tuple[str, ...]) -> list[int]:
        """Returns the indices of the keys."""
        try:
            return [self._indices[key] for key in keys]
        except (KeyError, TypeError):
            key = next(key for key in keys if not isinstance(key, str) or key not in self._indices)
            raise unknown(self._channel, key, self.schemas) from None

    def _latest(self, key: str, found: tuple[bytes, int, int] | None) -> Latest | None:
        if found is None:
            return None
        payload, version, time = found
        try:
            value = self.schemas[key].unpack(payload)
        except InvalidMessageError as exc:
            raise InvalidMessageError(f"channel `{self._channel}`: the value of key `{key}` is invalid: {exc}") from exc
        return Latest(value, version, np.datetime64(time, "ns"))

    def load(self, key: str) -> Latest | None:
        """Returns the latest value of a key; ``None`` if no value was ever stored. Never waits.

        Raises:
            UnknownKeyError: The table has no such key; the text lists its keys.
            BusyError: Writers stored new values during each attempt to copy the value.
            InvalidMessageError: The bytes are no value of the codec; the text has the key, the codec and the number of bytes.
        """
        return self._latest(key, self._native.load(*self._chosen((key,))))

    def load_set(self, *keys: str) -> dict[str, Latest | None]:
        """Returns the latest values of several keys that were current at one instant; of all keys without arguments.

        Raises:
            UnknownKeyError: The table has no such key; the text lists its keys.
            BusyError: One of the keys was stored during each attempt to copy the values.
        """
        keys = keys or self.keys
        found = self._native.load_set(self._chosen(keys))
        return {key: self._latest(key, one) for key, one in zip(keys, found)}

    def version(self, key: str) -> int:
        """Returns the number of stores of a key since the segment was created, without a copy of the value."""
        return int(self._native.version(*self._chosen((key,))))

    def changed(self, *keys: str) -> list[str]:
        """Returns those of the keys that were stored since this reader loaded them last; of all keys without arguments."""
        return [self.keys[index] for index in self._native.changed(self._chosen(keys))]

    def wait(self, *keys: str, timeout: float | None = None) -> bool:
        """Waits until one of the keys was stored since this reader loaded it last; any key without arguments.

        It returns at once if one was, and waits also while no writer is alive. :meth:`load` then returns the latest value;
        values in between are passed over.

        Args:
            timeout: Seconds. ``None`` waits forever; 0 polls once.

        Returns:
            ``False`` if none of the keys was stored in time.
        """
        return bool(self._native.wait(self._chosen(keys), timeout))

    async def wait_async(self, *keys: str) -> None:
        """Waits like :meth:`wait`; the task waits in a thread of the loop's executor, not the loop."""
        indices = self._chosen(keys)
        loop = asyncio.get_running_loop()
        while not self._native.wait(indices, 0):
            # In slices: Ctrl-C may end the program, and a cancelled task leaves its thread.
            if await loop.run_in_executor(None, self._native.wait, indices, 0.05):
                return

    def changes(self, *keys: str, timeout: float | None = None) -> KeyChanges:
        """Returns the changes of these keys, for ``for``, ``async for`` and :meth:`WaitSet.add`; of all keys without arguments.

        Args:
            timeout: Seconds without a change after which ``for`` ends; ``None`` waits forever.

        >>> from shmcomm import table_reader, table_writer
        >>> keys = {"battery": "<f4", "pose": ("<f8", 3)}
        >>> with table_writer("doc/robot/changes", "battery", keys) as battery:
        ...     with table_reader("doc/robot/changes") as robot:
        ...         battery.store(0.75)
        ...         for key, latest in robot.changes(timeout=0.0):
        ...             print(key, latest.value)
        1
        battery 0.75
        """
        self._chosen(keys)
        return KeyChanges(self, keys, timeout)

    def __iter__(self) -> Iterator[tuple[str, Latest]]:
        """Iterates over the changes of all keys: pairs of a key and its value. See :meth:`changes`."""
        return iter(self.changes())

    def __aiter__(self) -> AsyncIterator[tuple[str, Latest]]:
        """Iterates over the changes of all keys, for ``async for``."""
        return aiter(self.changes())

    def writers(self, key: str) -> list[int]:
        """Returns the process numbers of the live writers of a key: at most one, unless the table has several for a key."""
        return list(self._native.writers(*self._chosen((key,))))

    @property
    def follow_error(self) -> str | None:
        """Reason why the reader does not follow the table to its new segment, such as other keys; else ``None``."""
        reason: str | None = self._native.follow_error
        return reason


class KeyChanges:
    """Changes of some keys of a table. Use :meth:`TableReader.changes`.

    An iteration gives pairs of a key and its latest value. Values that were stored in between are passed over. The first
    pairs are the values that the reader has not loaded yet. An iteration does not end when a writer leaves, because
    the next writer may store at any time.
    """

    def __init__(self, reader: TableReader, keys: tuple[str, ...], timeout: float | None) -> None:
        self._reader, self._keys, self._timeout = reader, keys, timeout

    def _found(self) -> Iterator[tuple[str, Latest]]:
        for key in self._reader.changed(*self._keys):
            latest = self._reader.load(key)
            if latest is not None:
                yield key, latest

    def __iter__(self) -> Iterator[tuple[str, Latest]]:
        while self._reader.wait(*self._keys, timeout=self._timeout):
            yield from self._found()

    async def __aiter__(self) -> AsyncIterator[tuple[str, Latest]]:
        while True:
            await self._reader.wait_async(*self._keys)
            for found in self._found():
                yield found

    def __repr__(self) -> str:
        return f"KeyChanges({self._reader!r}, {self._keys!r})"


class TableWriter(_End):
    """The writer of one key of a table. Use :func:`table_writer`.

    If this process dies, at any instruction, readers keep the last value, and another writer can open the key at once. The
    last writer of a table that is closed removes its segment; readers that are open keep the last values.
    """

    def __init__(self, channel: str, key: str, schema: Schema, native: _native.NativeTableWriter) -> None:
        super().__init__(channel, native)
        #: The key.
        self.key = key
        #: Layout of the values.
        self.schema = schema

    def store(self, value: Any, *, at: int | np.datetime64 | None = None) -> int:
        """Stores a value and returns its version. Wakes the readers that wait.

        It does not wait, except for another writer of the key that is in the middle of a store.

        Args:
            at: Time of the value, such as that of its measurement: nanoseconds since the Unix epoch, as ``time.time_ns()``
                returns them, or a ``datetime64``. Readers get it as :attr:`Latest.time`. ``None``: the time of the
                system's clock.

        Raises:
            InvalidMessageError: The value does not fit the layout; the text names the field.
            BusyError: Another writer of the key was stopped in the middle of a store, more than a second ago.
        """
        return int(self._native.store(self.schema._payload(value), None if at is None else _nanoseconds(at)))

    @property
    def version(self) -> int:
        """Number of stores of the key, by all its writers, since the segment was created."""
        return int(self._native.version)

    def __repr__(self) -> str:
        return f"TableWriter({self._channel!r}, {self.key!r})"


def _nanoseconds(at: int | np.datetime64) -> int:
    """Returns a time in nanoseconds since the Unix epoch."""
    if isinstance(at, np.datetime64):
        if np.isnat(at):
            raise ValueError("`at` is no time (NaT); give nanoseconds since the Unix epoch, or a datetime64")
        # An integer of Python: numpy does not report that a time is outside the range of its unit.
        unit, count = np.datetime_data(at.dtype)
        scale = _SCALES.get(unit)
        if scale is None:
            raise ValueError(f"`at` is a datetime64 of the unit `{unit}`; give one of W, D, h, m, s, ms, us or ns")
        nanoseconds = int(at.astype(np.int64)) * count * scale
    else:
        nanoseconds = operator.index(at)
    if not -(1 << 63) <= nanoseconds < 1 << 63:
        raise ValueError(f"`at` is {at!r}; give a time from 1677 to 2262, in nanoseconds since the Unix epoch")
    return nanoseconds


#: Nanoseconds of a unit of ``datetime64``.
_SCALES = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "D": 86_400_000_000_000,
    "W": 604_800_000_000_000,
}


def unknown(channel: str, key: object, keys: Mapping[str, Schema]) -> UnknownKeyError:
    """Returns the error of a key that a table does not have."""
    known = ", ".join(f"`{name}`" for name in keys)
    shown = f"`{key}`" if isinstance(key, str) else repr(key)
    return UnknownKeyError(f"channel `{channel}`: the table has no key {shown}; its keys are {known}")


def key_schema(key: str, of: Any) -> Schema:
    """Returns the schema of the values of a key, as a program declares it.

    Raises:
        SchemaError: The values have no fixed layout.
    """
    if not isinstance(key, str):
        raise TypeError(f"the name of a key is a str, and this is a {type(key).__name__}")
    try:
        schema = of if isinstance(of, Schema) else Schema(of, key)
    except SchemaError as exc:
        raise SchemaError(f"key `{key}`: {exc}") from None
    if schema.layout is None:
        cure = f"; use `{schema!r}.bounded(size)`" if isinstance(schema, Encoded) else ""
        raise SchemaError(f"key `{key}`: its values have no fixed layout{cure}")
    return schema


def key_schemas(
    channel: str, found: list[tuple[str, str]], wanted: Mapping[str, Any] | None
) -> dict[str, Schema]:
    """Returns the keys of a segment, with the layouts as which a program reads their values.

    Raises:
        UnknownKeyError: The program wants a key that the table does not have.
        TypeMismatchError: The program cannot read the values of a key.
    """
    schemas = {key: stated(text) for key, text in found}
    for key, of in (wanted or {}).items():
        if key not in schemas:
            raise unknown(channel, key, schemas)
        schemas[key] = agreed_key(channel, key, schemas[key], of)
    return schemas


def agreed_key(channel: str, key: str, found: Schema, of: Any) -> Schema:
    """Returns the layout as which a program reads the values of a key."""
    if isinstance(of, Encoded):
        # With the size of the segment.
        of = Bounded(of, (found.layout or {}).get("list", 1))
    wanted = key_schema(key, of)
    try:
        return agreed(found, wanted, channel)
    except (TypeMismatchError, ChannelMismatchError) as exc:
        prefix = f"channel `{channel}`: "
        error = type(exc)(f"{prefix}key `{key}`: {str(exc).removeprefix(prefix)}")
        error.channel = channel
        raise error from None
