"""Serialization of messages: pickle, or msgpack if that package is installed.

Any object is pickled in Python. Bytes are passed through unchanged.
"""

import logging
import pickle
from typing import Any

from shmcomm.compat.exceptions import SHMSerializationError

logger = logging.getLogger("shmcomm.serialize")

try:
    import msgpack as _msgpack

    _MSGPACK_AVAILABLE = True
except ImportError:
    _MSGPACK_AVAILABLE = False


def _require_msgpack() -> None:
    if not _MSGPACK_AVAILABLE:
        raise SHMSerializationError("msgpack is not installed. Run: pip install msgpack")


def serialize(obj: Any, method: str = "pickle") -> bytes:
    """Returns *obj* as bytes, serialized with *method*: ``"pickle"`` or ``"msgpack"``.

    ``bytes``, ``bytearray`` and ``memoryview`` are returned as they are.

    Raises:
        SHMSerializationError: *obj* cannot be serialized, *method* is unknown, or msgpack is not installed.

    >>> deserialize(serialize({"x": 1.5}))
    {'x': 1.5}
    >>> serialize(b"raw")
    b'raw'
    """
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return bytes(obj)
    if method == "pickle":
        try:
            return pickle.dumps(obj, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as exc:
            raise SHMSerializationError(f"pickle serialization failed: {exc}") from exc
    if method == "msgpack":
        _require_msgpack()
        try:
            packed: bytes = _msgpack.packb(obj, use_bin_type=True)
            return packed
        except Exception as exc:
            raise SHMSerializationError(f"msgpack serialization failed: {exc}") from exc
    raise SHMSerializationError(f"Unknown serialization method: {method!r}")


def deserialize(data: bytes, method: str = "pickle") -> Any:
    """Returns the object whose serialization is *data*.

    Unpickling runs code that the sender chose: read only from processes that you trust.

    Raises:
        SHMSerializationError: *data* is not a serialized object, *method* is unknown, or msgpack is not installed.
    """
    if method == "pickle":
        try:
            return pickle.loads(data)
        except Exception as exc:
            raise SHMSerializationError(f"pickle deserialization failed: {exc}") from exc
    if method == "msgpack":
        _require_msgpack()
        try:
            return _msgpack.unpackb(data, raw=False)
        except Exception as exc:
            raise SHMSerializationError(f"msgpack deserialization failed: {exc}") from exc
    raise SHMSerializationError(f"Unknown serialization method: {method!r}")


def is_msgpack_available() -> bool:
    """Returns ``True`` if the package msgpack is installed."""
    return _MSGPACK_AVAILABLE
