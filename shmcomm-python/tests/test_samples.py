"""Messages in place: arrays that refer to a slot, their end, threads, fork and exit."""

import os
import threading
import time

import numpy as np
import pytest

import shmcomm

#: Words of a message that is pinned in its slot.
WORDS = 4096

#: Receives of the long test. `.ci/python samples` makes 1,000,000.
RECEIVES = int(os.environ.get("SHMCOMM_SAMPLES", "20000"))


def full(number):
    return np.full(WORDS, number, dtype="<u8")


@pytest.fixture
def feed(name):
    with shmcomm.publisher(name, ("<u8", WORDS), slots=4) as pub, shmcomm.subscriber(name) as sub:
        yield pub, sub


def test_block_gives_a_read_only_array_and_frees_the_slot(feed):
    pub, sub = feed
    for number in range(20):
        pub.send(full(number))
        with sub.borrow(timeout=5) as array:
            assert isinstance(array, np.ndarray) and array.shape == (WORDS,)
            assert not array.flags.writeable and not array.flags.owndata
            assert (array == number).all()
        assert array.size == 0
    assert (sub.received, sub.lost) == (20, 0)


def test_block_in_a_module_frees_the_slot(name, program):
    code = """
import sys, shmcomm
with shmcomm.publisher(sys.argv[1], ("<u8", 4096)) as pub, shmcomm.subscriber(sys.argv[1]) as sub:
    for number in range(5):
        pub.send([number] * 4096)
        with sub.borrow(timeout=5) as array:
            assert (array == number).all()
        assert array.size == 0
"""
    assert program(code, name).finish() == (0, "", "")


def test_received_copy_of_a_large_message_frees_its_slot(feed):
    """Polled, waited for, and beside a sample."""
    pub, sub = feed
    pub.send(full(1))
    polled = sub.recv(timeout=5)
    timer = threading.Timer(0.1, lambda: pub.send(full(2)))
    timer.start()
    waited = sub.recv(timeout=30)
    timer.join()
    pub.send(full(3))
    sample = sub.borrow(timeout=5)
    held = sample.array
    pub.send(full(4))
    beside = sub.recv(timeout=5)
    timer = threading.Timer(0.1, lambda: pub.send(full(5)))
    timer.start()
    last = sub.recv(timeout=30)
    timer.join()
    for number in range(6, 16):
        pub.send(full(number))
    for number, array in enumerate((polled, waited, held, beside, last), 1):
        assert (array == number).all() and not array.flags.writeable
    del held
    sample.release()
    while sub.recv(timeout=0) is not None:
        pass
    assert sub.received + sub.lost == 15


def test_view_keeps_the_slot_after_the_block(feed):
    pub, sub = feed
    pub.send(full(7))
    sample = sub.borrow(timeout=5)
    with sample as array:
        part = array[10:20]
    assert array.size == 0 and not sample.released and sample.in_slot
    for number in range(100):
        pub.send(full(number))
        assert (part == 7).all()
    with pytest.raises(shmcomm.SampleHeldError, match="one at a time"):
        sub.borrow(timeout=0)
    assert isinstance(shmcomm.SampleHeldError("x"), BufferError)
    del part
    assert sample.released
    with sub.borrow(timeout=5) as array:
        assert (array == array[0]).all()


@pytest.mark.parametrize("keep", [memoryview, lambda array: array.view(np.matrix), lambda array: array.flat, lambda array: [array]])
def test_object_that_refers_to_the_array_keeps_it(feed, keep):
    pub, sub = feed
    pub.send(full(7))
    sample = sub.borrow(timeout=5)
    with sample as array:
        kept = keep(array)
    assert not sample.released
    for number in range(100):
        pub.send(full(number))
        assert array.size == WORDS and (array == 7).all()
    del array
    assert not sample.released
    del kept
    assert sample.released


def test_object_is_kept_although_its_variable_is_gone(feed):
    pub, sub = feed
    pub.send(full(7))
    sample = sub.borrow(timeout=5)
    with sample as array:
        array = memoryview(array)
    for number in range(100):
        pub.send(full(number))
    assert not sample.released and array[0] == 7 and array[-1] == 7


def test_record_of_a_struct_keeps_the_slot(name):
    dtype = np.dtype([("x", "<f8"), ("data", "<u8", WORDS)])
    with shmcomm.publisher(name, dtype, slots=4) as pub, shmcomm.subscriber(name) as sub:
        pub.send((1.5, full(3)))
        sample = sub.borrow(timeout=5)
        with sample as array:
            assert array.shape == () and array["x"] == 1.5 and (array["data"] == 3).all()
            record = array[()]
        assert not sample.released and record["x"] == 1.5
        del array
        for number in range(50):
            pub.send((2.5, full(number)))
            assert record["x"] == 1.5 and (record["data"] == 3).all()
        del record
        assert sample.released


def test_release_refuses_while_there_are_views(feed):
    pub, sub = feed
    pub.send(full(1))
    sample = sub.borrow(timeout=5)
    array = sample.array
    with pytest.raises(BufferError, match="1 view refers"):
        sample.release()
    del array
    sample.release()
    sample.release()
    with pytest.raises(BufferError, match="released"):
        sample.array
    assert sample.released


def test_receives_are_copies_while_a_sample_is_held(feed):
    pub, sub = feed
    pub.send(full(0))
    sample = sub.borrow(timeout=5)
    for number in range(1, 20):
        pub.send(full(number))
        assert (sub.recv(timeout=5) == number).all()
    assert (sample.array == 0).all()
    sample.release()
    pub.send(full(20))
    with sub.borrow(timeout=5) as array:
        assert (array == 20).all()


@pytest.mark.parametrize("schema, message, shape", [("<f8", 1.5, ()), (bytes, b"abc", (3,)), (bytes, b"", (0,)), (("<i4", (2, 3)), [[1, 2, 3]] * 2, (2, 3))])
def test_small_messages_have_the_same_rules(name, schema, message, shape):
    with shmcomm.publisher(name, schema) as pub, shmcomm.subscriber(name) as sub:
        for _ in range(3):
            pub.send(message)
            with sub.borrow(timeout=5) as array:
                assert array.shape == shape and array.tobytes() == pub.schema.pack(message)
        pub.send(message)
        sample = sub.borrow(timeout=5)
        with pytest.raises(shmcomm.SampleHeldError):
            sub.borrow(timeout=0)
        sample.release()
        with pytest.raises(shmcomm.TimeoutError):
            sub.borrow(timeout=0)


def test_sample_outlives_its_subscriber(name):
    pub = shmcomm.publisher(name, ("<u8", WORDS), slots=4)
    sub = shmcomm.subscriber(name)
    pub.send(full(7))
    array = sub.borrow(timeout=5).array
    sub.close()
    for number in range(100):
        pub.send(full(number))
        assert (array == 7).all()
    pub.close()
    assert (array == 7).all()


def test_views_end_in_other_threads(feed):
    pub, sub = feed
    errors = []

    def hold(number, array):
        for _ in range(3):
            time.sleep(0.0005)
            if not (array == number).all():
                errors.append(number)

    for number in range(200):
        pub.send(full(number))
        sample = sub.borrow(timeout=5)
        threads = [threading.Thread(target=hold, args=(number, sample.array[start:])) for start in (0, 8)]
        for thread in threads:
            thread.start()
        pub.send(full(2**40))
        assert (sub.recv(timeout=5) == 2**40).all()
        for thread in threads:
            thread.join()
        del threads, thread
        sample.release()
    assert errors == []


def test_forked_child_gets_an_error(feed):
    pub, sub = feed
    pub.send(full(7))
    sample = sub.borrow(timeout=5)
    array = sample.array
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sample.array
        except shmcomm.ForkedError:
            code = 0
        finally:
            del array, sample
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pub.send(full(8))
    assert (array == 7).all()


def test_exit_with_views_leaves_nothing_behind(name, program):
    code = """
import sys, shmcomm
pub = shmcomm.publisher(sys.argv[1], ("<u8", 4096))
sub = shmcomm.subscriber(sys.argv[1])
pub.send([7] * 4096)
sample = sub.borrow(timeout=5)
array = sample.array
sys.modules["kept"] = array
"""
    assert program(code, name).finish() == (0, "", "")


def test_views_are_mapped_until_the_process_ends(name, program):
    """A handler of the C library reads a view after the end of the interpreter."""
    code = """
import ctypes, sys, shmcomm
pub = shmcomm.publisher(sys.argv[1], bytes, slot_size=8192)
sub = shmcomm.subscriber(sys.argv[1])
pub.send(b"still mapped" + bytes(8000))
array = sub.borrow(timeout=5).array
# A reference that the end of the interpreter does not end.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(array))
libc = ctypes.CDLL(None)
# `exit(1)` calls `dprintf(1, text)`.
libc.on_exit(ctypes.cast(libc.dprintf, ctypes.c_void_p), ctypes.c_void_p(array.ctypes.data))
sys.exit(1)
"""
    assert program(code, name).finish() == (1, "still mapped", "")


def test_sample_that_is_entered_and_not_left_is_garbage(feed):
    pub, sub = feed
    for number in range(3):
        pub.send(full(number))
        sample = sub.borrow(timeout=5)
        array = sample.__enter__()
        assert (array == number).all()
        del sample, array


def test_sample_is_released_if_its_views_cannot_be_made(feed, monkeypatch):
    pub, sub = feed
    pub.send(full(1))
    sample = sub.borrow(timeout=5)
    sample.schema = shmcomm.Schema(("<u8", WORDS + 1))
    with pytest.raises(ValueError):
        with sample:
            pass
    assert sample.released

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "frombuffer", fail)
    pub.send(full(2))
    sample = sub.borrow(timeout=5)
    with pytest.raises(MemoryError):
        with sample:
            pass
    assert sample.released


def test_dictionary_of_locals_stays_whole(feed):
    """Before Python 3.13 the dictionary of a function's variables is one object, which the program may keep."""
    pub, sub = feed
    marker = object()
    mine = locals()
    pub.send(full(1))
    with sub.borrow(timeout=5) as array:
        assert (array == 1).all()
    assert mine["marker"] is marker and mine["pub"] is pub
    assert array.size == 0


def test_variables_do_not_keep_views_after_the_block(feed):
    pub, sub = feed
    locals()["extra"] = 7
    for number in range(3):
        pub.send(full(number))
        with sub.borrow(timeout=5) as array:
            view = array[1:]
        del view
        assert array.size == 0


def test_array_of_a_block_stays_where_counts_are_not_exact(feed, monkeypatch):
    """Python 3.14 and Python without the GIL."""
    monkeypatch.setattr("shmcomm._sample.COUNTS", False)
    pub, sub = feed
    pub.send(full(1))
    sample = sub.borrow(timeout=5)
    with sample as array:
        pass
    assert (array == 1).all() and not sample.released
    del array
    assert sample.released


def test_no_receive_leaks_or_sees_a_write(name, program):
    """A publisher in another process writes at full speed while views are read twice."""
    code = """
import sys, numpy, shmcomm
with shmcomm.publisher(sys.argv[1], ("<u8", 1024), slots=8) as pub:
    print("ready", flush=True)
    words, number = numpy.zeros(1024, dtype="<u8"), 0
    while pub.subscribers == 0:
        pass
    while pub.subscribers > 0:
        words[:] = number
        pub.send(words)
        number += 1
"""
    other = program(code, name)
    assert other.line() == "ready"

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    started = time.monotonic()
    with shmcomm.subscriber(name) as sub:
        before, in_slot, copies, last = 0, 0, 0, -1
        for count in range(RECEIVES):
            if count == RECEIVES // 4:
                before = resident()
            sample = sub.borrow(timeout=10)
            in_slot += sample.in_slot
            with sample as array:
                view = array[512:]
                number = int(array[0])
                assert number > last and (array == number).all()
            if count % 16 == 0:
                # The publisher goes on for several laps.
                for _ in range(4):
                    copies += sub.recv(timeout=10) is not None
            assert not sample.released and (view == number).all(), "written under a view"
            del view
            assert sample.released
            last = number
        growth = resident() - before
        received, lost = sub.received, sub.lost
    print(f"{RECEIVES} receives in {time.monotonic() - started:.0f} s: {in_slot} in slots, {copies} more by copy,")
    print(f"{lost} of {received + lost} messages passed over, {growth >> 10} KiB more memory")
    assert growth < 8 << 20
    assert in_slot == RECEIVES and received == RECEIVES + copies
    assert other.finish()[0] == 0
