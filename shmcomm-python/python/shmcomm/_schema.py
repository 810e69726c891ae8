"""Layouts of messages as numpy dtypes, and back.

A segment states the layout of its messages as JSON. numpy has a dtype for each layout; the library checks the rest:
text, lengths, truth values and the variants of enums.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import json
import math
import typing
from typing import Any

import numpy as np

from . import _native
from .exceptions import InvalidMessageError, SchemaError

#: Types of the fields of a dataclass, without an annotation of their size.
_PYTHON_TYPES: dict[Any, str] = {int: "<i8", float: "<f8", bool: "|b1"}

_NUMBERS = {"|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8", "|b1"}


#: Classes of numpy's values.
_ARRAYS = (np.ndarray, np.generic)

#: Bytes from which on an array is copied to its slot without a copy in between.
_LARGE = 4096


def _dense(dtype: np.dtype[Any]) -> bool:
    """Returns ``True`` if the dtype has no padding."""
    if dtype.subdtype is not None:
        return _dense(dtype.subdtype[0])
    if dtype.fields is None:
        return True
    parts = [field[0] for field in dtype.fields.values()]
    return sum(part.itemsize for part in parts) == dtype.itemsize and all(_dense(part) for part in parts)


class Schema:
    """The layout of a message: a numpy dtype, and the same as JSON.

    Args:
        of: A numpy dtype (anything that ``numpy.dtype`` takes), a dataclass, or the JSON text of a layout. ``bytes``
            stands for messages without a layout. Fields of a dataclass are ``int`` (64 bits), ``float``, ``bool``,
            dataclasses, or ``typing.Annotated`` with a dtype as the first annotation.
        name: Name of the struct in errors and tools. Names are not compared.

    Raises:
        SchemaError: The type cannot be the layout of a message: object arrays, big-endian numbers, ``datetime64`` of
            a unit other than nanoseconds, or fields that are not aligned.

    >>> Schema([("x", "<f4"), ("y", "<f4")]).dtype.itemsize
    8
    >>> Schema("O")
    Traceback (most recent call last):
    ...
    shmcomm.exceptions.SchemaError: dtype object cannot be in a message: it holds references to Python objects
    """

    _form = "fixed"

    def __init__(self, of: Any, name: str = "Message") -> None:
        #: The dataclass of the messages, if the layout was given as one.
        self.dataclass: type | None = None
        #: The layout; ``None`` for bytes.
        self.layout: dict[str, Any] | None
        if of is bytes:
            self.layout = None
        elif isinstance(of, Schema):
            self.layout, self.dataclass = of.layout, of.dataclass
        elif isinstance(of, str) and of.lstrip().startswith(("{", "[")):
            self.layout = _parsed(of)
        elif dataclasses.is_dataclass(of) and isinstance(of, type):
            self.dataclass = of
            self.layout = _of_dtype(_dataclass_dtype(of), of.__name__, "")
        else:
            try:
                dtype = np.dtype(of)
            except (TypeError, ValueError) as exc:
                raise SchemaError(f"{of!r} is neither a dtype, nor a dataclass, nor a layout: {exc}") from exc
            self.layout = _of_dtype(dtype, name, "")
        #: The numpy dtype of a message; ``None`` for bytes.
        self.dtype: np.dtype[Any] | None = None if self.layout is None else _dtype_of(self.layout)
        #: `True` if the bytes of a record are those of its message: numpy does not clear padding.
        self._dense = self.dtype is not None and _dense(self.dtype)
        self._shape: tuple[int, ...] = () if self.dtype is None else self.dtype.shape
        self._base = None if self.dtype is None else self.dtype.base
        #: Fingerprint of the layout, as in the segment; 0 for bytes.
        self.fingerprint: int = _native.fingerprints(self.text)[0] if self.layout is not None else 0

    @property
    def text(self) -> str:
        """The JSON array of layouts, as in the segment."""
        return "[]" if self.layout is None else json.dumps([self.layout], ensure_ascii=False, separators=(",", ":"))

    def pack(self, message: Any) -> bytes:
        """Returns the bytes of a message.

        Raises:
            InvalidMessageError: The message cannot be converted to the dtype without loss.
        """
        if self._dense and isinstance(message, _ARRAYS) and message.dtype == self._base and message.shape == self._shape:
            return message.tobytes()
        if self.dtype is None:
            if isinstance(message, (bytes, bytearray, memoryview)):
                return bytes(message)
            raise InvalidMessageError(f"the channel carries bytes, and the message is a {type(message).__name__}")
        return self._array(message).tobytes()

    def _array(self, message: Any) -> np.ndarray[Any, Any]:
        """Returns a message as an array of its own."""
        assert self.dtype is not None
        if dataclasses.is_dataclass(message) and not isinstance(message, type):
            message = dataclasses.asdict(message)
        return _packed(message, self.dtype)

    def _payload(self, message: Any) -> Any:
        """Returns the bytes of a message for a send: a view of a large array, or else what :meth:`pack` returns."""
        if (
            self._dense
            and isinstance(message, np.ndarray)
            and message.nbytes >= _LARGE
            and message.dtype == self._base
            and message.shape == self._shape
            and message.flags.c_contiguous
        ):
            return message.reshape(-1).view(np.uint8)
        return self.pack(message)

    def unpack(self, payload: bytes) -> Any:
        """Returns the message of *payload*: a read-only array or a record, a dataclass, or bytes."""
        if self.dtype is None:
            return payload
        array = np.frombuffer(payload, dtype=self.dtype, count=1)[0]
        return array if self.dataclass is None else _instance(self.dataclass, array)

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Differences between the layout of the segment and that of the program: see :attr:`Subscriber.resolution`."""
        return {}

    def _size(self, items: int | None) -> int:
        """Returns the bytes of a message of *items* items."""
        if self.dtype is None:
            if items is None:
                raise TypeError("give the number of bytes")
            return items
        if items is not None:
            raise TypeError("a message of a fixed layout has no number of items")
        return self.dtype.itemsize

    def _in_place(self) -> bool:
        """Returns ``True`` if a message in its slot is a message of this schema."""
        return True

    def _view(self, view: memoryview) -> np.ndarray[Any, Any]:
        """Returns the message in *view* as a read-only array."""
        dtype: np.dtype[Any] = np.dtype(np.uint8) if self.dtype is None else self.dtype
        shape: tuple[int, ...] = (view.nbytes,) if self.dtype is None else ()
        while dtype.subdtype is not None:
            dtype, more = dtype.subdtype
            shape += more
        if 0 in shape:
            empty: np.ndarray[Any, Any] = np.empty(shape, dtype=dtype)
            empty.flags.writeable = False
            return empty
        # Views of the result refer to the array from `frombuffer`, and not to the result: see `Sample.__exit__`.
        return np.frombuffer(view, dtype=dtype, count=math.prod(shape)).reshape(shape)

    @functools.cached_property
    def enums(self) -> dict[str, type[enum.IntEnum]]:
        """The enums of the layout, by the path of their field, as ``"state.mode"``; a message itself is ``""``.

        >>> mode = '{"size":1,"type":"|u1","name":"Mode","enum":{"Idle":0,"Moving":3}}'
        >>> schema = Schema('{"size":1,"name":"State","align":1,"fields":[{"name":"mode","offset":0,"of":' + mode + "}]}")
        >>> schema.enums["mode"].Moving
        <Mode.Moving: 3>
        >>> as_python(np.array((3,), dtype=schema.dtype), schema)
        {'mode': <Mode.Moving: 3>}
        """
        found: dict[str, type[enum.IntEnum]] = {}
        if self.layout is not None:
            _enums(self.layout, "", found)
        return found

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Schema)
            and self._form == other._form
            and self.fingerprint == other.fingerprint
            and self.dtype == other.dtype
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Schema({bytes if self.dtype is None else self.dtype!r})"


def _parsed(text: str) -> dict[str, Any]:
    _native.fingerprints(text)
    layout = json.loads(text)
    if isinstance(layout, list):
        if len(layout) != 1:
            raise SchemaError(f"the text has {len(layout)} layouts, and a message has 1")
        layout = layout[0]
    found: dict[str, Any] = layout
    return found


def _of_dtype(dtype: np.dtype[Any], name: str, place: str) -> dict[str, Any]:
    """Returns the layout of a dtype. *place* names the field in errors."""
    where = f"`{place}`: " if place else ""
    if dtype.subdtype is not None:
        item, shape = dtype.subdtype
        layout = _of_dtype(item, name, place)
        for length in reversed(shape):
            layout = {"size": layout["size"] * length, "len": length, "item": layout}
        return layout
    if dtype.names is not None and dtype.fields is not None:
        fields: list[dict[str, Any]] = []
        align = 1
        for field in dtype.names:
            of, offset = dtype.fields[field][:2]
            layout = _of_dtype(of, field, f"{place}.{field}" if place else field)
            align = max(align, alignment(layout))
            fields.append({"name": field, "offset": offset, "of": layout})
        wrong = [f["name"] for f in fields if f["offset"] % alignment(f["of"])]
        if wrong or dtype.itemsize % align:
            culprit = f"field `{wrong[0]}`" if wrong else "the end of the struct"
            raise SchemaError(f"{where}{culprit} is not aligned; make the dtype with `align=True`, or add fields of padding")
        return {"size": dtype.itemsize, "name": name, "align": align, "fields": fields}
    if dtype.hasobject:
        raise SchemaError(f"{where}dtype {dtype} cannot be in a message: it holds references to Python objects")
    text = dtype.str
    if text in _NUMBERS or text == "<M8[ns]":
        return {"size": dtype.itemsize, "type": text}
    if text.startswith(">"):
        raise SchemaError(f"{where}dtype {text} has the byte order of another machine; use {dtype.newbyteorder('<').str}")
    if dtype.kind == "M":
        raise SchemaError(f"{where}dtype {dtype} has another unit than a Timestamp; use datetime64[ns]")
    if dtype.kind == "V":
        return {"size": dtype.itemsize, "type": f"|V{dtype.itemsize}"}
    cure = "; use arrays of u1, or a layout with `str`" if dtype.kind in "SU" else ""
    raise SchemaError(f"{where}dtype {text} has no type of a message{cure}")


def alignment(layout: dict[str, Any]) -> int:
    """Returns the alignment of a layout in bytes."""
    if "align" in layout:
        return int(layout["align"])
    if "item" in layout:
        item = alignment(layout["item"])
        return item if "len" in layout else max(item, 4)
    if "str" in layout or layout.get("type", "").startswith("|V"):
        return 1
    return int(layout["size"])


def _dtype_of(layout: dict[str, Any]) -> np.dtype[Any]:
    try:
        return dtype_of(layout)
    except (TypeError, ValueError) as exc:
        raise SchemaError(f"numpy has no dtype for this layout: {exc}") from exc


def dtype_of(layout: dict[str, Any]) -> np.dtype[Any]:
    """Returns the numpy dtype of a layout.

    A string has the fields ``len`` and ``bytes``, a list ``len`` and ``items``, an option ``some`` and ``value``.
    """
    size = layout["size"]
    if "fields" in layout:
        fields = layout["fields"]
        return _struct([(f["name"], f["offset"], dtype_of(f["of"])) for f in fields], size)
    if "len" in layout:
        return np.dtype((dtype_of(layout["item"]), (layout["len"],)))
    if "str" in layout:
        return _struct([("len", 0, np.dtype("<u4")), ("bytes", 4, np.dtype(("u1", (layout["str"],))))], size)
    if "list" in layout:
        items = np.dtype((dtype_of(layout["item"]), (layout["list"],)))
        return _struct([("len", 0, np.dtype("<u4")), ("items", layout["offset"], items)], size)
    if "option" in layout:
        return _struct([("some", 0, np.dtype("<u4")), ("value", layout["offset"], dtype_of(layout["item"]))], size)
    number: np.dtype[Any] = np.dtype(layout["type"])
    return number


def _struct(fields: list[tuple[str, int, np.dtype[Any]]], size: int) -> np.dtype[Any]:
    return np.dtype(
        {
            "names": [name for name, _, _ in fields],
            "formats": [dtype for _, _, dtype in fields],
            "offsets": [offset for _, offset, _ in fields],
            "itemsize": size,
        }
    )


def _dataclass_dtype(of: type) -> np.dtype[Any]:
    hints = typing.get_type_hints(of, include_extras=True)
    fields: list[tuple[str, Any]] = []
    for field in dataclasses.fields(of):
        hint = hints[field.name]
        if typing.get_origin(hint) is typing.Annotated:
            fields.append((field.name, np.dtype(typing.get_args(hint)[1])))
        elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
            fields.append((field.name, _dataclass_dtype(hint)))
        elif hint in _PYTHON_TYPES:
            fields.append((field.name, np.dtype(_PYTHON_TYPES[hint])))
        else:
            raise SchemaError(
                f"`{of.__name__}.{field.name}`: {hint!r} has no size; annotate it, as in Annotated[int, 'u4']"
            )
    aligned: np.dtype[Any] = np.dtype(fields, align=True)
    return aligned


def _instance(of: type, record: Any) -> Any:
    hints = typing.get_type_hints(of)
    values = {}
    for field in dataclasses.fields(of):
        if field.name not in record.dtype.names:
            # The segment lacks it: the dataclass has a default.
            continue
        value, hint = record[field.name], hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            values[field.name] = _instance(hint, value)
        else:
            values[field.name] = value.item() if isinstance(value, np.generic) else value
    return of(**values)


def _packed(message: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    out = np.zeros((), dtype=dtype) if dtype.subdtype is None else np.zeros(dtype.shape, dtype=dtype.base)
    if isinstance(message, (bytes, bytearray, memoryview)):
        message = _exact(message, out)
    _fill(out, message, "")
    return out


def _exact(message: Any, out: np.ndarray[Any, Any]) -> Any:
    raw = bytes(message)
    if len(raw) != out.nbytes:
        raise InvalidMessageError(f"the message has {len(raw)} bytes, and its layout takes {out.nbytes}")
    return np.frombuffer(raw, dtype=out.dtype).reshape(out.shape)


#: The fields of a string, a list and an option.
_TEXT, _LIST, _OPTION = ("len", "bytes"), ("len", "items"), ("some", "value")
_INLINE = (_TEXT, _LIST, _OPTION)


def _fill_inline(out: Any, value: Any, where: str, place: str) -> None:
    """Writes a ``str``, a sequence, or ``None`` or a value to a string, a list or an option."""
    names = out.dtype.names
    if names == _OPTION:
        if value is not None:
            out["some"] = 1
            _fill(out["value"], value, place)
        return
    if names == _TEXT:
        if not isinstance(value, str):
            raise InvalidMessageError(f"{where}{value!r} is no str")
        value = np.frombuffer(value.encode(), dtype="u1")
    items = out[names[1]]
    if len(value) > items.shape[0]:
        raise InvalidMessageError(f"{where}{len(value)} items or bytes, and there is room for {items.shape[0]}")
    out["len"] = len(value)
    if len(value):
        _fill(items[: len(value)], value, place)


def _enums(layout: dict[str, Any], place: str, found: dict[str, type[enum.IntEnum]]) -> None:
    if "enum" in layout:
        # A name such as `mro` cannot be a member; its enum remains a number.
        with contextlib.suppress(ValueError):
            make: Any = enum.IntEnum
            found[place] = make(layout["name"], layout["enum"])
    for field in layout.get("fields", ()):
        _enums(field["of"], f"{place}.{field['name']}" if place else field["name"], found)
    if "item" in layout:
        _enums(layout["item"], place, found)


def as_python(value: Any, schema: Schema | None = None) -> Any:
    """Returns a received message as Python's own objects: dictionaries, lists, ``str``, ``None`` and numbers.

    Args:
        value:  The message, or a part of it.
        schema: Layout of the message. With it enums are members of an ``IntEnum``: see :attr:`Schema.enums`.

    >>> import numpy as np
    >>> as_python(np.zeros(1, dtype=[("x", "<f4"), ("count", "<u2", 2)])[0])
    {'x': 0.0, 'count': [0, 0]}
    """
    plain = _as_python(value)
    return plain if schema is None else _with_enums(plain, schema.enums, "")


def _with_enums(value: Any, enums: dict[str, type[enum.IntEnum]], place: str) -> Any:
    if isinstance(value, dict):
        return {name: _with_enums(part, enums, f"{place}.{name}" if place else name) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_enums(part, enums, place) for part in value]
    return value if value is None or place not in enums else enums[place](value)


def _as_python(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.names:
        value = value[()]
    if isinstance(value, np.ndarray):
        return [_as_python(item) for item in value] if value.dtype.names else value.tolist()
    if isinstance(value, np.void) and value.dtype.names is not None:
        names = value.dtype.names
        if names == _TEXT:
            return value["bytes"][: value["len"]].tobytes().decode()
        if names == _LIST:
            return _as_python(value["items"][: value["len"]])
        if names == _OPTION:
            return _as_python(value["value"]) if value["some"] else None
        return {name: _as_python(value[name]) for name in names}
    return value.item() if isinstance(value, np.generic) else value


def _fill(out: Any, value: Any, place: str) -> None:
    """Writes *value* to the array *out*, field by field. *place* names the field in errors."""
    dtype: np.dtype[Any] = out.dtype
    where = f"`{place}`: " if place else ""
    given = getattr(value, "dtype", None)
    if isinstance(given, np.dtype) and given == dtype and np.shape(value) == out.shape:
        out[...] = value
        return
    if dtype.names is not None and out.shape == ():
        if dtype.names in _INLINE and not isinstance(value, (dict, np.void, np.ndarray)):
            _fill_inline(out, value, where, place)
            return
        if isinstance(value, np.void) and value.dtype.names is not None:
            value = {name: value[name] for name in value.dtype.names}
        elif isinstance(value, np.ndarray) and value.dtype.names is not None and value.shape == ():
            value = {name: value[name][()] for name in value.dtype.names}
        if not isinstance(value, dict):
            if not isinstance(value, (tuple, list)) or len(value) != len(dtype.names):
                raise InvalidMessageError(
                    f"{where}{value!r} has not the {len(dtype.names)} fields {', '.join(dtype.names)}; "
                    "give a tuple, a dict or a record"
                )
            value = dict(zip(dtype.names, value))
        unknown = [name for name in value if name not in dtype.names]
        missing = [name for name in dtype.names if name not in value]
        if unknown or missing:
            what = f"there is no field `{unknown[0]}`" if unknown else f"field `{missing[0]}` is missing"
            raise InvalidMessageError(f"{where}{what}; the fields are {', '.join(dtype.names)}")
        for name in dtype.names:
            _fill(out[name], value[name], f"{place}.{name}" if place else name)
        return
    if dtype.names is not None:
        if len(value) != len(out):
            raise InvalidMessageError(f"{where}{len(value)} items, and the array has {len(out)}")
        for index, item in enumerate(value):
            _fill(out[index : index + 1].reshape(()), item, f"{place}[{index}]")
        return
    try:
        array = np.asarray(value)
    except ValueError as exc:
        raise InvalidMessageError(f"{where}{exc}") from exc
    if array.dtype.hasobject:
        raise InvalidMessageError(f"{where}an array of Python objects is no {dtype}")
    if array.shape != out.shape:
        raise InvalidMessageError(f"{where}the shape is {array.shape}, and the layout takes {out.shape}")
    if isinstance(given, np.dtype):
        # A type that the program chose: only conversions without loss.
        allowed = np.can_cast(array.dtype, dtype, "safe")
    else:
        allowed = np.can_cast(array.dtype, dtype, "same_kind") or _holds(array, dtype)
    if not allowed:
        raise InvalidMessageError(f"{where}{_shown(array)} does not fit {dtype}; convert it before")
    if dtype.kind in "iu" and array.dtype.kind in "iu" and not _holds(array, dtype):
        raise InvalidMessageError(f"{where}{_shown(array)} does not fit {dtype}, which holds {np.iinfo(dtype).min} to {np.iinfo(dtype).max}")
    out[...] = array


def _holds(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    """Returns ``True`` if *dtype* is an integer type that holds all integers of *array*."""
    if dtype.kind not in "iu" or array.dtype.kind not in "iu":
        return False
    info = np.iinfo(dtype)
    return array.size == 0 or (int(array.min()) >= info.min and int(array.max()) <= info.max)


def _shown(array: np.ndarray[Any, Any]) -> str:
    return f"{array.dtype} {array.item()!r}" if array.shape == () else f"an array of {array.dtype}"
