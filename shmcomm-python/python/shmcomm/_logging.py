"""Hands the log records of the library to Python's ``logging``, under the name ``shmcomm``.

A record may come from a thread of the library, and while the thread with the GIL waits for that thread. So the library
only queues it; one daemon thread of Python sleeps in a pipe and hands the records on.
"""

from __future__ import annotations

import logging
import os
import threading

from . import _native

_logger = logging.getLogger("shmcomm")
_started = threading.Lock()
_process = 0


def _hand_on() -> None:
    records, dropped = _native.take_records()
    for level, text in records:
        if _logger.isEnabledFor(level):
            _logger.log(level, "%s", text)
    if dropped:
        _logger.warning("%d log records were dropped: they came faster than they were handled", dropped)


def _serve(file: int) -> None:
    while os.read(file, 4096):
        try:
            _hand_on()
        except Exception:  # A handler of the program failed, and must not end the thread.
            _logger.exception("a log record could not be handled")


def follow() -> None:
    """Takes over the level of the logger, hands waiting records on, and starts the thread.

    Every function that opens an end calls it: a level that is set later holds from the next opened end on.
    """
    global _process
    _native.set_log_level(_logger.getEffectiveLevel())
    if _process != os.getpid() and _started.acquire(blocking=False):
        try:
            thread = threading.Thread(target=_serve, args=(_native.log_file(),), name="shmcomm-logging", daemon=True)
            thread.start()
            _process = os.getpid()
        finally:
            _started.release()
    _hand_on()


def flush() -> None:
    """Hands on the records that wait."""
    _hand_on()
