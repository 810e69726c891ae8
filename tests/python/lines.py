"""Runs what it reads, with everything of shm_comm in scope: an expression's repr is printed, a statement
prints `ok`, an exception its class, and to stderr what it says."""
import sys
import time  # noqa: F401

import numpy  # noqa: F401

from shm_comm import *  # noqa: F403

scope = dict(globals())
for line in sys.stdin:
    try:
        try:
            code = compile(line, "line", "eval")
        except SyntaxError:
            exec(line, scope)
            print("ok", flush=True)
        else:
            print(repr(eval(code, scope)), flush=True)
    except Exception as exception:
        print(type(exception).__name__, flush=True)
        print(repr(exception), file=sys.stderr, flush=True)
