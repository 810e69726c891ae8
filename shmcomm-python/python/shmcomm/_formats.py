"""Messages that are not one fixed layout: msgpack, pickle, and a header with a tail."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any, Callable, NamedTuple

import numpy as np

from . import _native
from ._schema import Schema, alignment
from .exceptions import InvalidMessageError, TypeMismatchError, UnsupportedError


class Encoded(Schema):
    """The format of messages that a codec writes: :data:`MSGPACK` or :data:`PICKLE`."""

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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and self.codec == other.codec

    def __hash__(self) -> int:
        return hash(self.codec)

    def __repr__(self) -> str:
        return f"shmcomm.{self.codec.upper()}"


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

    A message is a pair of a header and an array of items. A publisher takes the largest size of both together in
    bytes as ``slot_size``.

    >>> import numpy as np, shmcomm
    >>> cloud = shmcomm.Tail([("stamp", "<u8")], ("<f4", 3))
    >>> with shmcomm.publisher("doc/cloud", cloud) as clouds, shmcomm.subscriber("doc/cloud") as received:
    ...     clouds.send(((7,), np.ones((2, 3), dtype="f4")))
    ...     header, points = received.recv(timeout=1.0)
    ...     int(header["stamp"]), points.shape
    True
    (7, (2, 3))
    """

    def __init__(self, header: Any, items: Any) -> None:
        super().__init__(bytes)
        #: Layout of the header.
        self.header = header if isinstance(header, Schema) else Schema(header, "Header")
        #: Layout of an item.
        self.items = items if isinstance(items, Schema) else Schema(items, "Item")
        if self.header.dtype is None or self.items.dtype is None or not self.items.dtype.itemsize:
            raise TypeMismatchError("a header and its items have fixed layouts, and an item is not empty")
        align = 1 if self.items.layout is None else alignment(self.items.layout)
        self._at = -(-self.header.dtype.itemsize // align) * align

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
        header = self.header.pack(message[0])[: self._at]
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
        return header + bytes(self._at - len(header)) + tail

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


class Resolved(Schema):
    """The layout of a program whose segment has another one: messages are converted by the rules of evolution."""

    def __init__(self, wanted: Schema, found: Schema) -> None:
        super().__init__(wanted)
        self._plan = _native.NativePlan(found.text, wanted.text)

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Fields of the segment that are ``ignored``, and fields of the program that are ``widened``."""
        return self._plan.resolution

    def unpack(self, payload: bytes) -> Any:
        """Returns the message of *payload*, which has the layout of the segment."""
        return super().unpack(self._plan.convert(payload))

    def _in_place(self) -> bool:
        return self._plan.in_place


def stated(facts: dict[str, Any], part: int = 0) -> Schema:
    """Returns the schema of the messages, or of part *part*, of a channel."""
    codec = facts["codec"]
    if codec == "raw bytes":
        return Schema(bytes)
    for encoded in (MSGPACK, PICKLE):
        if codec == encoded.codec:
            return encoded
    layouts = facts["schema"] if codec in ("fixed layout", "header and tail") else "null"
    parts = json.loads(layouts)
    if not isinstance(parts, list):
        raise TypeMismatchError(f"channel `{facts['channel']}`: it belongs to shm-comm; use shmcomm.compat")
    if codec == "header and tail":
        return Tail(Schema(json.dumps(parts[0])), Schema(json.dumps(parts[1])))
    return Schema(json.dumps(parts[part]))


def agreed(found: Schema, wanted: Schema, channel: str) -> Schema:
    """Returns how a program reads the messages of a segment.

    Raises:
        TypeMismatchError: The program cannot read them; the text has the field.
    """
    if found == wanted or (found.text == wanted.text):
        return wanted
    one = (_kind(found), _kind(wanted))
    if one[0] != one[1]:
        raise TypeMismatchError(f"channel `{channel}`: its messages are {one[0]}, and the program asks for {one[1]}")
    try:
        if isinstance(found, Tail) and isinstance(wanted, Tail):
            if found.items.fingerprint != wanted.items.fingerprint:
                _native.NativePlan(found.items.text, wanted.items.text)
                raise TypeMismatchError("items of a tail are not converted; use the layout of the segment")
            same = Tail(agreed(found.header, wanted.header, channel), wanted.items)
            same._at = found._at
            return same
        if found.fingerprint == wanted.fingerprint:
            return wanted
        return Resolved(_without_defaults(found, wanted), found)
    except TypeMismatchError as exc:
        text = str(exc)
        raise TypeMismatchError(text if text.startswith("channel") else f"channel `{channel}`: {text}") from None


def _kind(schema: Schema) -> str:
    if isinstance(schema, Encoded):
        return schema.codec
    if isinstance(schema, Tail):
        return "a header and a tail"
    return "bytes without a layout" if schema.layout is None else "of a fixed layout"


def _without_defaults(found: Schema, wanted: Schema) -> Schema:
    """Returns the layout of a dataclass without the fields that have a default and that the segment lacks."""
    if wanted.dataclass is None or wanted.layout is None or found.layout is None:
        return wanted
    theirs = {field["name"] for field in found.layout.get("fields", ())}
    absent = {
        field.name
        for field in dataclasses.fields(wanted.dataclass)
        if field.name not in theirs
        and (field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING)
    }
    if not absent:
        return wanted
    reduced = dict(wanted.layout)
    reduced["fields"] = [field for field in wanted.layout["fields"] if field["name"] not in absent]
    schema = Schema(json.dumps(reduced))
    schema.dataclass = wanted.dataclass
    return schema
