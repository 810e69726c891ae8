"""``shmcomm.compat`` beside the original: the same names, signatures, values, errors and texts."""

import importlib
import inspect
import logging
import time

import pytest

import shm_comm as original
import shmcomm
import shmcomm.compat as compat

MODULES = ["", ".core", ".buffer", ".exceptions", ".serialize", ".sync", ".utils", ".patterns"]
MODULES += [f".patterns.{pattern}" for pattern in ("pubsub", "reqrep", "pipeline")]
ENDS = ["Publisher", "Subscriber", "Requester", "Replier", "Pusher", "Puller"]


def segment_file(pattern, name):
    return f"shmcomm_{pattern}_{name}"


def failure(call):
    """Returns the class name and the text of the exception of *call*."""
    with pytest.raises(Exception) as caught:
        call()
    return type(caught.value).__name__, str(caught.value)


@pytest.mark.parametrize("module", MODULES)
def test_module_has_the_names_of_the_original(module):
    theirs, ours = (importlib.import_module(package + module) for package in ("shm_comm", "shmcomm.compat"))
    assert getattr(ours, "__all__", None) == getattr(theirs, "__all__", None) or not hasattr(theirs, "__all__")
    for name, value in vars(theirs).items():
        if name.startswith("__") and name != "__version__":
            continue
        assert hasattr(ours, name), name
        mine = getattr(ours, name)
        if inspect.isclass(value):
            assert mine.__module__ == value.__module__.replace("shm_comm", "shmcomm.compat"), name
        elif inspect.isfunction(value):
            theirs_names = [(p.name, p.kind, p.default) for p in inspect.signature(value).parameters.values()]
            ours_names = [(p.name, p.kind, p.default) for p in inspect.signature(mine).parameters.values()]
            assert ours_names == theirs_names, name
        elif isinstance(value, (int, str, list)):
            assert mine == value, name


@pytest.mark.parametrize("end", ENDS)
def test_end_has_the_methods_of_the_original(end):
    theirs, ours = getattr(original, end), getattr(compat, end)
    for name, method in vars(theirs).items():
        if name.startswith("__") and name not in {"__init__", "__enter__", "__exit__", "__repr__"}:
            continue
        if not callable(method):
            continue
        mine = getattr(ours, name)
        expected = [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
        assert [(p.name, p.kind, p.default) for p in inspect.signature(mine).parameters.values()] == expected, name


def test_exceptions_have_the_bases_of_the_original():
    for name in ["SHMError", "SHMConnectionError", "SHMTimeoutError", "SHMBufferFullError", "SHMSerializationError"]:
        bases = [base.__name__ for base in getattr(original, name).__mro__]
        assert [base.__name__ for base in getattr(compat, name).__mro__] == bases


PUBLISH = """
import sys, {library} as shm
pub = shm.Publisher(sys.argv[1], serialization={codec!r})
print("ready", flush=True)
for line in sys.stdin:
    if line == "end\\n": break
    pub.send({{"number": 7, "list": [1, 2.5, None]}}) if line == "object\\n" else pub.send_bytes(b"raw bytes")
pub.close()
"""
SUBSCRIBE = """
import sys, {library} as shm
sub = shm.Subscriber(sys.argv[1], serialization={codec!r})
print("ready", flush=True)
print(sub.recv(timeout=10), flush=True)
print(sub.recv_bytes(timeout=10), flush=True)
sub.close()
"""
MESSAGE = {"number": 7, "list": [1, 2.5, None]}


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
@pytest.mark.parametrize("library", ["shm_comm", "shmcomm.compat"])
def test_subscriber_reads_from_publisher(name, program, library, codec):
    other = program(PUBLISH.format(library=library, codec=codec), name)
    assert other.line() == "ready"
    with compat.Subscriber(name, serialization=codec) as sub:
        other.say("object")
        assert sub.recv(timeout=10) == MESSAGE
        other.say("bytes")
        assert sub.recv_bytes(timeout=10) == b"raw bytes"
        other.say("end")
        code, _, errors = other.finish()
        assert code == 0, errors


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
def test_original_subscriber_reads_from_publisher(name, program, codec):
    with compat.Publisher(name, serialization=codec) as pub:
        other = program(SUBSCRIBE.format(library="shm_comm", codec=codec), name)
        assert other.line() == "ready"
        pub.send(MESSAGE)
        assert other.line() == str(MESSAGE)
        pub.send_bytes(bytearray(b"raw bytes"))
        assert other.line() == str(b"raw bytes")
        assert other.finish()[0] == 0
        # The resource tracker of the original has removed the name; this library restores it.
        with compat.Subscriber(name, serialization=codec) as late:
            pub.send("still here")
            assert late.recv(timeout=10) == "still here"


SERVE = """
import sys, {library} as shm
rep = shm.Replier(sys.argv[1], serialization={codec!r})
print("ready", flush=True)
for _ in range(40):
    request = rep.recv(timeout=10)
    rep.send([request, "answered"])
rep.close()
"""
ASK = """
import sys, {library} as shm
req = shm.Requester(sys.argv[1], serialization={codec!r})
for number in range(40):
    assert req.request({{"n": number}}, timeout=10) == [{{"n": number}}, "answered"], number
req.close()
"""


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
@pytest.mark.parametrize("library", ["shm_comm", "shmcomm.compat"])
def test_requester_asks_replier(name, program, library, codec):
    other = program(SERVE.format(library=library, codec=codec), name)
    assert other.line() == "ready"
    with compat.Requester(name, serialization=codec) as req:
        # More exchanges than there are slots: with the original on both sides the service ends after 15.
        for number in range(40):
            assert req.request(number, timeout=10) == [number, "answered"]
    code, _, errors = other.finish()
    assert code == 0, errors


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
@pytest.mark.parametrize("library", ["shm_comm", "shmcomm.compat"])
def test_original_requester_asks_replier(name, program, library, codec):
    with compat.Replier(name, serialization=codec) as rep:
        other = program(ASK.format(library=library, codec=codec), name)
        for number in range(40):
            assert rep.recv(timeout=10) == {"n": number}
            assert rep.send([{"n": number}, "answered"]) is True
        code, _, errors = other.finish()
        assert code == 0, errors


PULL = """
import sys, {library} as shm
pull = shm.Puller(sys.argv[1])
while (job := pull.recv(timeout=10)) != "end":
    print(job, flush=True)
pull.close()
"""
PUSH = """
import sys, {library} as shm
push = shm.Pusher(sys.argv[1])
for number in range(1, 41):
    push.send(number)
print("sent", flush=True)
sys.stdin.readline()
push.close()
"""


@pytest.mark.parametrize("library", ["shm_comm", "shmcomm.compat"])
def test_pullers_of_both_libraries_share_jobs(name, program, library):
    with compat.Pusher(name) as push:
        with compat.Puller(name) as pull:
            other = program(PULL.format(library=library), name)
            for number in range(1, 41):
                push.send(number)
            mine = []
            while (job := pull.recv(timeout=0.5)) is not None:
                mine.append(job)
                time.sleep(0.005)
            push.send("end")
            code, out, errors = other.finish()
            assert code == 0, errors
            assert sorted(mine + [int(line) for line in out.split()]) == list(range(1, 41))


@pytest.mark.parametrize("library", ["shm_comm", "shmcomm.compat"])
def test_puller_takes_from_pusher(name, program, library):
    other = program(PUSH.format(library=library), name)
    with compat.Puller(name) as pull:
        assert [pull.recv(timeout=10) for _ in range(40)] == list(range(1, 41))
        assert other.line() == "sent"
        other.say("")
        code, _, errors = other.finish()
        assert code == 0, errors


def test_errors_have_the_texts_of_the_original(name):
    def oversize(library):
        with library.Publisher(name, slot_size=104) as pub:
            return failure(lambda: pub.send_bytes(b"x" * 101))

    def full(library):
        with library.Pusher(name, num_slots=3) as push, library.Puller(name) as pull:
            push.send(1), push.send(2)
            assert push.send(3, block=False) is False
            assert push.stats()["drop_count"] == 1
            result = failure(lambda: push.send(3, timeout=0.05))
            pull.recv(timeout=1), pull.recv(timeout=1)
            return result

    def unanswered(library):
        with library.Replier(name), library.Requester(name) as req:
            return failure(lambda: req.request("?", timeout=0.05))

    def damaged(library, index, value):
        shm = library.core.create_segment(segment_file("pub", name), 4, 64)
        library.core.get_header(shm)[index] = value
        try:
            return failure(lambda: library.Subscriber(name, timeout_connect=0.2))
        finally:
            shm.unlink()
            shm.close()

    def unpickled(library):
        with library.Publisher(name) as pub, library.Subscriber(name) as sub:
            pub.send_bytes(b"no pickle")
            return failure(lambda: sub.recv(timeout=1))

    import shm_comm.core
    import shm_comm.serialize

    for case in [
        oversize,
        full,
        unanswered,
        unpickled,
        lambda library: damaged(library, 0, 0x1234),
        lambda library: damaged(library, 1, 9),
        lambda library: failure(lambda: library.Subscriber(name, timeout_connect=0.1)),
        lambda library: failure(lambda: library.Puller(name, timeout_connect=0.1)),
        lambda library: failure(lambda: library.Requester(name, timeout_connect=0.1)),
        lambda library: failure(lambda: library.serialize.serialize(lambda: 0)),
        lambda library: failure(lambda: library.serialize.serialize(0, "xml")),
        lambda library: failure(lambda: library.serialize.deserialize(b"\xc1", "msgpack")),
    ]:
        assert case(compat) == case(original)


def test_counts_are_those_of_the_original(name):
    def counted(library):
        with library.Publisher(name, num_slots=4, slot_size=64) as pub, library.Subscriber(name) as sub:
            pub.send(1)
            pub.send(2)
            assert sub.recv(timeout=1) == 1
            return pub.stats(), sub.stats(), repr(pub), repr(sub)

    assert counted(compat) == counted(original)


def test_none_and_false_are_passed_over(name):
    with compat.Publisher(name) as pub, compat.Subscriber(name) as sub:
        for message in (None, False, 0, "", []):
            pub.send(message)
        assert [sub.recv(timeout=1) for _ in range(3)] == [0, "", []]
        assert sub.recv(timeout=0) is None


def test_loss_is_counted(name):
    with compat.Publisher(name, num_slots=8) as pub, compat.Subscriber(name) as sub:
        for number in range(100):
            pub.send(number + 1)
        received = []
        while (message := sub.recv(timeout=0)) is not None:
            received.append(message)
        assert received == list(range(101 - len(received), 101))
        assert sub.lost == 100 - len(received)


def test_second_publisher_takes_over(name):
    first = compat.Publisher(name)
    second = compat.Publisher(name)
    with compat.Subscriber(name) as sub:
        second.send("from the second")
        assert sub.recv(timeout=1) == "from the second"
        with pytest.raises(compat.SHMConnectionError, match="taken over"):
            for _ in range(1000):
                first.send("from the first")
                time.sleep(0.001)
    first.close()
    with compat.Subscriber(name) as sub:
        second.send("still here")
        assert sub.recv(timeout=1) == "still here"
    second.close()


@pytest.mark.parametrize("end", ["Publisher", "Pusher", "Replier"])
def test_closed_end_is_refused(name, end):
    opened = getattr(compat, end)(name)
    opened.close()
    opened.close()
    with pytest.raises(compat.SHMConnectionError, match="is closed"):
        opened.send(1)


def test_bad_names_and_sizes_are_refused(name):
    for call in [
        lambda: compat.Publisher("a/b"),
        lambda: compat.Publisher(""),
        lambda: compat.Publisher(name, num_slots=0),
        lambda: compat.Publisher(name, num_slots=-1),
        lambda: compat.Publisher(name, slot_size=4),
        lambda: compat.Subscriber("a/b", timeout_connect=0),
    ]:
        with pytest.raises(compat.SHMConnectionError):
            call()
    with compat.Publisher(name) as pub:
        for wrong in ("text", 5, None):
            with pytest.raises(TypeError):
                pub.send_bytes(wrong)
    with compat.Publisher(name) as pub, compat.Subscriber(name) as sub:
        with pytest.raises(ValueError):
            sub.recv(timeout=float("nan"))
        assert sub.recv(timeout=-1) is None
        pub.send_bytes(memoryview(b"0123456789")[::2])
        assert sub.recv_bytes(timeout=1) == b"02468"


def test_original_names_lead_to_the_same_exceptions(program):
    code = """
import sys, shmcomm.compat
sys.modules["shm_comm"] = shmcomm.compat
from shm_comm import Subscriber
from shm_comm.exceptions import SHMConnectionError
from shm_comm.utils import pub_segment_name
from shm_comm.core import create_segment, get_header, close_segment
from shm_comm.patterns.pubsub import Publisher
try:
    Subscriber("no-such-channel-here", timeout_connect=0.05)
except SHMConnectionError:
    print("caught")
"""
    assert program(code).finish() == (0, "caught\n", "")


def test_records_have_the_loggers_of_the_original(name, caplog):
    with caplog.at_level(logging.DEBUG, "shmcomm"):
        with compat.Publisher(name) as pub, compat.Subscriber(name) as sub:
            pub.send_bytes(b"12345")
            sub.recv_bytes(timeout=1)
    records = {(record.name, record.getMessage()) for record in caplog.records}
    for logger, text in [
        ("shmcomm.core", f"Created shared memory segment 'shmcomm_pub_{name}' (262272 bytes)"),
        ("shmcomm.pubsub", f"Publisher('{name}') ready — 64 slots × 4096 bytes"),
        ("shmcomm.pubsub", f"Subscriber('{name}') attached, starting tail=0"),
        ("shmcomm.buffer", "Wrote 5 bytes to slot 0 (head→1)"),
        ("shmcomm.buffer", "Read 5 bytes from slot 0 (tail→1)"),
        ("shmcomm.pubsub", f"Publisher('{name}') closed"),
    ]:
        assert (logger, text) in records


def test_records_of_the_library_reach_logging(name, caplog):
    with caplog.at_level(logging.DEBUG, "shmcomm"):
        compat.Publisher(name, num_slots=2).close()
        deadline = time.monotonic() + 5
        while "slots" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    assert any(record.name == "shmcomm" and "torn messages" in record.getMessage() for record in caplog.records)


def test_attributes_of_the_original_exist(name):
    with compat.Publisher(name) as pub, compat.Subscriber(name) as sub:
        assert (pub._name, pub._serialization, pub._shm_name) == (name, "pickle", f"shmcomm_pub_{name}")
        pub.send(1)
        assert compat.buffer.get_stats(pub._shm)["msg_count"] == 1
        assert compat.core.get_header(sub._shm)[compat.core.IDX_HEAD] == 1
        assert sub._tail == 0
        assert sub.recv(timeout=1) == 1
        assert sub._tail == 1
    assert pub._shm is None and sub._shm is None


def test_segments_of_a_service_are_attributes(name):
    with compat.Replier(name) as replier:
        # Before a requester comes, as in shm-comm.
        assert (replier._req_shm.size, replier._rep_shm.size) == (compat.core.segment_size(16, 8192),) * 2
        assert replier._req_tail == 0
        with compat.Requester(name) as requester:
            assert len(requester._req_shm.buf) == requester._rep_shm.size
            assert requester._rep_tail == 0
    assert replier._req_shm is None and requester._rep_shm is None
