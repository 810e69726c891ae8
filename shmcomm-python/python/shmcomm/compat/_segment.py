"""A named segment of shared memory: what this package needs of ``multiprocessing.shared_memory``.

The module of the standard library is not used. Its resource tracker removes the name of a segment when any process
that attached to it exits, also if that process does not own the segment.
"""

from __future__ import annotations

import mmap
import os

_DIRECTORY = "/dev/shm"


def _path(name: str) -> str:
    plain = name.lstrip("/")
    if not plain or "/" in plain or "\0" in plain:
        raise ValueError(f"invalid segment name {name!r}")
    return os.path.join(_DIRECTORY, plain)


def _missing(name: str) -> FileNotFoundError:
    return FileNotFoundError(2, "No such file or directory", "/" + name.lstrip("/"))


def unlink(name: str) -> bool:
    """Removes the name of a segment. Returns ``False`` if there is none."""
    try:
        os.unlink(_path(name))
    except FileNotFoundError:
        return False
    return True


class SharedMemory:
    """A mapped segment.

    Args:
        name:   Name of the segment.
        create: ``True`` creates it, and fails if it exists; ``False`` attaches to it.
        size:   Bytes of a segment that is created.
    """

    def __init__(self, name: str, create: bool = False, size: int = 0) -> None:
        self._name = name.lstrip("/")
        self._mmap: mmap.mmap | None = None
        self._buf: memoryview | None = None
        path = _path(name)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        if create:
            if size <= 0:
                raise ValueError("'size' must be a positive number different from zero")
            file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        else:
            try:
                file = os.open(path, flags)
            except FileNotFoundError:
                raise _missing(name) from None
        try:
            if create:
                try:
                    # Memory behind every byte, so that a full file system is an error here and no signal later.
                    os.posix_fallocate(file, 0, size)
                except BaseException:
                    os.unlink(path)
                    raise
            self._size = os.fstat(file).st_size
            self._mmap = mmap.mmap(file, self._size)
        finally:
            os.close(file)
        self._buf = memoryview(self._mmap)

    @property
    def buf(self) -> memoryview:
        """The bytes of the segment."""
        if self._buf is None:
            raise ValueError(f"segment {self._name!r} is closed")
        return self._buf

    @property
    def name(self) -> str:
        """Name of the segment, without a slash."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes of the segment."""
        return self._size

    def close(self) -> None:
        """Unmaps the segment. Arrays that still refer to it keep their memory."""
        buf, self._buf = self._buf, None
        mapping, self._mmap = self._mmap, None
        try:
            if buf is not None:
                buf.release()
            if mapping is not None:
                mapping.close()
        except BufferError:
            # An array refers to the mapping; the last one unmaps it.
            pass

    def unlink(self) -> None:
        """Removes the name of the segment."""
        if not unlink(self._name):
            raise _missing(self._name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, size={self._size})"
