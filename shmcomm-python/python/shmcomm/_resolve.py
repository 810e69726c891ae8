"""Layouts that differ between a segment and a program: messages are converted by the rules of evolution."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import typing
from typing import Any

import numpy as np

from . import _native
from ._formats import MSGPACK, PICKLE, Bounded, Encoded, Tail, Tailed
from ._schema import Schema
from .exceptions import ChannelMismatchError, TypeMismatchError

_logger = logging.getLogger("shmcomm")


class Resolved(Schema):
    """The layout of a program whose segment has another one."""

    def __init__(self, wanted: Schema, found: Schema) -> None:
        super().__init__(wanted)
        text, self._defaults = _without_defaults(found, wanted)
        self._plan = _native.NativePlan(found.text, text)
        #: Layout of converted messages: without the fields that have their default.
        self._converted = Schema(text)
        self._converted.dataclass = wanted.dataclass

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Fields that are ``defaulted``, ``ignored`` or ``widened``."""
        return {"defaulted": [".".join(path) for path, _ in self._defaults], **self._plan.resolution}

    def unpack(self, payload: bytes) -> Any:
        """Returns the message of *payload*, which has the layout of the segment."""
        return self._converted.unpack(self._plan.convert(payload))

    def _items(self, payload: memoryview) -> np.ndarray[Any, Any]:
        """Returns the items in *payload* as an array."""
        assert self.dtype is not None
        converted = self._plan.convert(bytes(payload))
        array: np.ndarray[Any, Any] = np.frombuffer(converted, dtype=self.dtype.base)
        if self._fillings:
            array = array.copy()
        for path, value in self._fillings:
            part = array
            for name in path[:-1]:
                part = part[name]
            part[path[-1]] = value
        array = array.reshape((-1, *self.dtype.shape))
        array.flags.writeable = False
        return array

    @functools.cached_property
    def _fillings(self) -> list[tuple[tuple[str, ...], np.ndarray[Any, Any]]]:
        """The defaults of the fields that the segment lacks, for items."""
        fillings = []
        for path, field in self._defaults:
            make: Any = field.default_factory
            default: Any = make() if field.default is dataclasses.MISSING else field.default
            dtype: Any = self.dtype
            for name in path:
                dtype = dtype[name]
            fillings.append((path, Schema(dtype)._array(default)))
        return fillings

    def _in_place(self) -> bool:
        return self._plan.in_place and not self._defaults


class ResolvedTail(Tail):
    """The layout of a program with another header or other items than the segment."""

    def __init__(self, header: Schema, items: Schema, found: Tail) -> None:
        super().__init__(header, items)
        #: Offset of the items in the segment.
        self._at = found._at

    @property
    def resolution(self) -> dict[str, list[str]]:
        """Fields that are ``defaulted``, ``ignored`` or ``widened``, of the header and then of the items."""
        first, second = self.header.resolution, self.items.resolution
        return {key: first.get(key, []) + second.get(key, []) for key in {**first, **second}}

    def unpack(self, payload: bytes) -> Tailed:
        """Returns the header and the items of *payload*, which has the layouts of the segment."""
        if not isinstance(self.items, Resolved):
            return super().unpack(payload)
        view = memoryview(payload)
        return Tailed(self.header.unpack(payload[: self._at]), self.items._items(view[self._at :]))

    def _in_place(self) -> bool:
        # `Sample.header` is a copy.
        return self.items._in_place() and not isinstance(self.items, Resolved)


def stated(text: str) -> Schema:
    """Returns the schema of messages from its text, as an end of the library has it."""
    for encoded in (MSGPACK, PICKLE):
        if text == encoded.codec:
            return encoded
    parts = [_layout(part) for part in json.loads(text)]
    if not parts:
        return Schema(bytes)
    return parts[0] if len(parts) == 1 else Tail(*parts)


def _layout(part: dict[str, Any]) -> Schema:
    """Returns the schema of one layout: that of the values, if the layout names a codec of the package."""
    schema = Schema(json.dumps(part))
    for encoded in (MSGPACK, PICKLE):
        if part.get("codec") == encoded.codec and (bounded := encoded.bounded(1).of_layout(schema)) is not None:
            return bounded
    return schema


def agreed(found: Schema, wanted: Schema, channel: str) -> Schema:
    """Returns how a program reads the messages of a segment.

    Raises:
        TypeMismatchError: The program cannot read their layout; the text has the field.
        ChannelMismatchError: The messages are of another kind.
    """
    if found == wanted or found.text == wanted.text:
        return wanted
    theirs, ours = _kind(found), _kind(wanted)
    if theirs != ours:
        mismatch = ChannelMismatchError(
            f"channel `{channel}`: the segment carries {theirs}, and this program declares {ours}; use one declaration of "
            "the channel in both programs, or another name"
        )
        mismatch.channel = channel
        raise mismatch
    try:
        if isinstance(found, Tail) and isinstance(wanted, Tail):
            header, items = _part(found.header, wanted.header), _part(found.items, wanted.items)
            schema: Schema = ResolvedTail(header, items, found)
        else:
            schema = _part(found, wanted)
    except TypeMismatchError as exc:
        error = TypeMismatchError(f"channel `{channel}`: {exc}")
        error.channel = channel
        raise error from None
    if schema.resolution or isinstance(schema, Resolved):
        parts = [f"{kind} " + ", ".join(f"`{name}`" for name in names) for kind, names in schema.resolution.items() if names]
        text = "; ".join(parts) or "fields moved"
        _logger.info("channel `%s`: its segment has another layout than this program: %s", channel, text)
    return schema


def _part(found: Schema, wanted: Schema) -> Schema:
    """Returns how a message, a header or an item is read."""
    if isinstance(wanted, Bounded):
        wanted = wanted.of_layout(found) or wanted
    if found.fingerprint != wanted.fingerprint:
        return Resolved(wanted, found)
    # Two codecs of one value are an error.
    _native.NativePlan(found.text, wanted.text)
    return wanted


def _kind(schema: Schema) -> str:
    """Returns the name of the format, as the library writes it."""
    if isinstance(schema, Encoded):
        return schema.codec
    if isinstance(schema, Tail):
        return "header and tail"
    return "raw bytes" if schema.layout is None else "fixed layout"


#: Path of a field, and the field with its default.
_Default = tuple[tuple[str, ...], "dataclasses.Field[Any]"]


def _without_defaults(found: Schema, wanted: Schema) -> tuple[str, list[_Default]]:
    """Returns the layout of a program without the fields that the segment lacks and that have a default.

    Only fields of dataclasses have defaults.
    """
    defaults: list[_Default] = []
    if wanted.dataclass is None or wanted.layout is None or found.layout is None:
        return wanted.text, defaults
    layout = _reduced(wanted.dataclass, wanted.layout, found.layout, (), defaults)
    return json.dumps([layout]), defaults


def _reduced(
    of: type, ours: dict[str, Any], theirs: dict[str, Any], path: tuple[str, ...], defaults: list[_Default]
) -> dict[str, Any]:
    hints = typing.get_type_hints(of)
    named = {field.name: field for field in dataclasses.fields(of)}
    found = {field["name"]: field["of"] for field in theirs.get("fields", ())}
    fields = []
    for part in ours["fields"]:
        name = part["name"]
        field, hint = named[name], hints[name]
        if name in found:
            inner = part["of"]
            if dataclasses.is_dataclass(hint) and isinstance(hint, type):
                inner = _reduced(hint, inner, found[name], (*path, name), defaults)
            fields.append({**part, "of": inner})
        elif field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
            defaults.append(((*path, name), field))
        else:
            fields.append(part)
    return {**ours, "fields": fields}
