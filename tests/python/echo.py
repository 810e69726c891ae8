"""Sends values there and back: CANON NAME CODEC ask|serve, CANON being the path of `canon.py`. Prints `ready`.

`ask` reads expressions; each value is sent to a replier that answers with the same value, and compared:
prints `same`, or both. `serve` is such a replier, and ends with its input. A value travels in a dict, as
Python passes over `None`."""
import sys
import threading

path, name, codec, role = sys.argv[1:5]
exec(compile(open(path, encoding="utf-8").read(), path, "exec"))

from shm_comm import Replier, Requester


def order(v):
    return (v.flags.c_contiguous, v.flags.f_contiguous) if type(v) is np.ndarray else None


if role == "ask":
    requester = Requester(name, timeout_connect=60.0, serialization=codec)
    print("ready", flush=True)
    for line in sys.stdin:
        sent = eval(line)
        back = requester.request({"v": sent}, timeout=30.0)["v"]
        same = canon(back) == canon(sent)
        # What is contiguous in neither way comes back in one of them.
        if type(sent) is np.ndarray and sent.flags.forc:
            same = same and order(back) == order(sent) and back.flags.writeable
        print("same" if same else f"{sent!r} came back as {back!r}", flush=True)
else:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with Replier(name, slot_size=65536, serialization=codec) as replier:
        print("ready", flush=True)
        while not ended.is_set():
            request = replier.recv(timeout=0.05)
            if request is not None:
                replier.send(request)
