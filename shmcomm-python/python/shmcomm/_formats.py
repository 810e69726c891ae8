"""Messages that are not one fixed layout: msgpack, pickle, and a header with a tail."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any, Callable, NamedTuple

import numpy as np

from ._schema import Schema, alignment
from .exceptions import InvalidMessageError, MessageTooLongError, SchemaError, UnsupportedError


#: Bytes before the encoded bytes of a bounded value: their number, and a gap.
_PREFIX = 8


class Encoded(Schema):
    """The format of messages that a codec writes: :data:`MSGPACK` or :data:`PICKLE`."""

    _form = "encoded"

    def __init__(self, codec: str, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> None:
        super().__init__(bytes)
        #: ``"msgpack"`` or ``"pickle"``.
        self.codec = codec
        self._dumps, self._loads = dumps, loads

    def _size(self, items: int | None) -> int:
        raise TypeError(f"messages of {self.codec} are not built in their slots; use `send`")

    @property
    def text(self) -> str:
        """Name of the codec, in place of a layout."""
        return self.codec

    def pack(self, message: Any) -> bytes:
        """Returns the encoded message.

        Raises:
            InvalidMessageError: The codec refuses the message.
        """
        try:
            return self._dumps(message)
        except UnsupportedError:
            raise
        except Exception as exc:
            raise InvalidMessageError(f"{self.codec}: {exc}") from exc

    _payload = pack

    def unpack(self, payload: bytes) -> Any:
        """Returns the message of *payload*."""
        try:
            return self._loads(payload)
        except UnsupportedError:
            raise
        except Exception as exc:
            raise InvalidMessageError(f"{self.codec}: {exc}") from exc

    def bounded(self, size: int) -> Bounded:
        """Returns the layout of encoded values of at most *size* bytes: ``Encoded<T, Msgpack, SIZE>`` in Rust.

        Its size is fixed. So it can be the layout of a key of a table.

        >>> settings = MSGPACK.bounded(64)
        >>> settings.unpack(settings.pack({"gain": 2.5}))
        {'gain': 2.5}
        """
        return Bounded(self, size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and self.codec == other.codec

    def __hash__(self) -> int:
        return hash(self.codec)

    def __repr__(self) -> str:
        return f"shmcomm.{self.codec.upper()}"


class Bounded(Schema):
    """The layout of values that a codec encodes in a bounded number of bytes. Use :meth:`Encoded.bounded`."""

    _form = "bounded"

    def __init__(self, format: Encoded, size: int) -> None:
        if not 0 < size < 1 << 31:
            raise SchemaError(f"an encoded value of {size} bytes: give 1 to {(1 << 31) - 1} bytes")
        item = {"size": 1, "type": "|u1"}
        layout = {"size": _PREFIX + size, "list": size, "offset": _PREFIX, "item": item, "codec": format.codec}
        super().__init__(json.dumps(layout))
        #: Format of the values: :data:`MSGPACK` or :data:`PICKLE`.
        self.format = format
        #: Largest number of encoded bytes.
        self.capacity = size

    def pack(self, message: Any) -> bytes:
        """Returns the encoded message, with its length.

        Raises:
            InvalidMessageError: The codec refuses the message.
            MessageTooLongError: The encoded message is longer than the layout allows.
        """
        encoded = self.format.pack(message)
        if len(encoded) > self.capacity:
            error = MessageTooLongError(
                f"the encoded message takes {len(encoded)} bytes, but there is room for {self.capacity}"
            )
            error.size, error.capacity = len(encoded), self.capacity
            raise error
        return len(encoded).to_bytes(_PREFIX, "little") + encoded.ljust(self.capacity, b"\0")

    _payload = pack

    def unpack(self, payload: bytes) -> Any:
        """Returns the message of *payload*.

        Raises:
            InvalidMessageError: The bytes are no value of the codec; the text has their number.
        """
        length = int.from_bytes(payload[:4], "little")
        try:
            return self.format.unpack(payload[_PREFIX : _PREFIX + length])
        except InvalidMessageError as exc:
            raise InvalidMessageError(f"no value of codec `{self.format.codec}` in {length} bytes: {exc}") from exc

    def of_layout(self, found: Schema) -> Bounded | None:
        """Returns these values as a segment has them, with its size; ``None`` if *found* is no list of bytes."""
        capacity = (found.layout or {}).get("list")
        if capacity is None:
            return None
        wanted = Bounded(self.format, capacity)
        return wanted if wanted.fingerprint == found.fingerprint else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bounded) and (self.format, self.capacity) == (other.format, other.capacity)

    def __hash__(self) -> int:
        return hash((self.format, self.capacity))

    def __repr__(self) -> str:
        return f"{self.format!r}.bounded({self.capacity})"


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError as exc:
        raise UnsupportedError("messages of msgpack need the package msgpack: pip install msgpack") from exc
    return msgpack


def _plain(value: Any) -> Any:
    """Returns a value of numpy or a dataclass as msgpack knows it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"a {type(value).__name__} is no value of msgpack")


def _pack_msgpack(message: Any) -> bytes:
    packed: bytes = _msgpack().packb(message, use_bin_type=True, default=_plain)
    return packed


def _unpack_msgpack(payload: bytes) -> Any:
    return _msgpack().unpackb(payload, raw=False, strict_map_key=False)


#: Messages of msgpack: dictionaries, lists, text, bytes and numbers. Needs the package msgpack.
MSGPACK = Encoded("msgpack", _pack_msgpack, _unpack_msgpack)

#: Pickles. A receive runs code that the sender chose: read only from processes that you trust. A program in Rust reads
#: a pickle without running code from it.
PICKLE = Encoded("pickle", lambda message: pickle.dumps(message, protocol=5), pickle.loads)


class Tailed(NamedTuple):
    """A received header with its items."""

    #: The header, as a record or an array.
    header: Any
    #: The items, as a read-only array.
    items: Any


class Tail(Schema):
    """The layout of messages that are a header and any number of items, as images and point clouds.

    The items follow the header directly, so its size must be a multiple of the alignment of an item. A message is a pair
    of a header and an array of items. A publisher takes the largest size of both together in
    bytes as ``slot_size``.

    Raises:
        SchemaError: A part has no fixed layout, an item is empty, or there is padding behind the header.

    >>> import numpy as np, shmcomm
    >>> cloud = shmcomm.Tail([("stamp", "<u8")], ("<f4", 3))
    >>> with shmcomm.publisher("doc/cloud", cloud) as clouds, shmcomm.subscriber("doc/cloud") as received:
    ...     clouds.send(((7,), np.ones((2, 3), dtype="f4")))
    ...     header, points = received.recv(timeout=1.0)
    ...     int(header["stamp"]), points.shape
    True
    (7, (2, 3))
    """

    _form = "tail"

    def __init__(self, header: Any, items: Any) -> None:
        super().__init__(bytes)
        #: Layout of the header.
        self.header = header if isinstance(header, Schema) else Schema(header, "Header")
        #: Layout of an item.
        self.items = items if isinstance(items, Schema) else Schema(items, "Item")
        if self.header.dtype is None or self.items.layout is None or self.items.dtype is None:
            raise SchemaError("a header and its items have fixed layouts; give dtypes or dataclasses")
        if not self.items.dtype.itemsize:
            raise SchemaError("an item of a tail takes no bytes, so no receiver could count the items")
        align = alignment(self.items.layout)
        #: Size of the header in bytes; the items follow it directly.
        self._at = self.header.dtype.itemsize
        if self._at % align:
            raise SchemaError(
                f"the header takes {self._at} bytes, and its items are aligned to {align}; add a last field of "
                f"{-self._at % align} bytes to the header"
            )

    @property
    def text(self) -> str:
        """The JSON array of the two layouts, as in the segment."""
        return json.dumps([self.header.layout, self.items.layout], ensure_ascii=False, separators=(",", ":"))

    def pack(self, message: Any) -> bytes:
        """Returns the bytes of a pair of a header and its items.

        Raises:
            InvalidMessageError: A part cannot be converted without loss.
        """
        if not isinstance(message, (tuple, list)) or len(message) != 2:
            raise InvalidMessageError("the message is no pair of a header and its items")
        header = self.header.pack(message[0])
        dtype = self.items.dtype
        assert dtype is not None
        given = getattr(message[1], "dtype", None)
        if isinstance(given, np.dtype) and given == dtype.base and self.items._dense:
            items = np.asarray(message[1])
            if items.shape[1:] != dtype.shape or items.ndim == 0:
                raise InvalidMessageError(f"the shape of the items is {items.shape}, and an item has {dtype.shape}")
            tail = items.tobytes()
        else:
            tail = b"".join(self.items.pack(item) for item in message[1])
        return header + tail

    _payload = pack

    def unpack(self, payload: bytes) -> Tailed:
        """Returns the header and the items of *payload*."""
        return Tailed(self.header.unpack(payload[: self._at]), self._view(memoryview(payload)))

    def _size(self, items: int | None) -> int:
        if items is None:
            raise TypeError("give the number of items of the tail")
        dtype = self.items.dtype
        assert dtype is not None
        return self._at + items * dtype.itemsize

    def _view(self, view: memoryview) -> np.ndarray[Any, Any]:
        dtype = self.items.dtype
        assert dtype is not None
        if len(view) == self._at:
            empty: np.ndarray[Any, Any] = np.empty((0, *dtype.shape), dtype=dtype.base)
            empty.flags.writeable = False
            return empty
        # Views of the result refer to the array from `frombuffer`, and not to the result: see `Sample.__exit__`.
        return np.frombuffer(view[self._at :], dtype=dtype).view()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tail) and (self.header, self.items) == (other.header, other.items)

    def __hash__(self) -> int:
        return hash((self.header, self.items))

    def __repr__(self) -> str:
        return f"Tail({self.header.dtype!r}, {self.items.dtype!r})"
