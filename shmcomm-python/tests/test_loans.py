"""Messages that are built in their slots."""

import os
import threading
import time

import numpy as np
import pytest

import shmcomm

WORDS = 4096


@pytest.fixture
def feed(name):
    with shmcomm.publisher(name, ("<u8", WORDS), slots=4) as pub, shmcomm.subscriber(name) as sub:
        yield pub, sub


def test_block_sends_what_it_writes_in_the_slot(feed):
    pub, sub = feed
    for number in range(20):
        with pub.loan() as array:
            assert array.shape == (WORDS,) and array.flags.writeable and not array.flags.owndata
            array[:] = number
            assert sub.recv(timeout=0) is None
        assert array.size == 0
        with sub.borrow(timeout=5) as received:
            assert (received == number).all()
    assert (sub.received, sub.lost) == (20, 0)


def test_exception_in_the_block_sends_nothing(feed):
    pub, sub = feed
    with pytest.raises(ZeroDivisionError):
        with pub.loan() as array:
            array[:] = 1
            1 / 0
    del array
    assert sub.recv(timeout=0) is None
    pub.send(np.full(WORDS, 2, dtype="<u8"))
    assert (sub.recv(timeout=5) == 2).all()


def test_message_with_views_is_not_sent(feed):
    pub, sub = feed
    with pytest.raises(BufferError, match="1 views? of it"):
        with pub.loan() as array:
            view = array[10:]
    with pytest.raises(shmcomm.LoanOpenError, match="send or drop it first"):
        pub.send(np.zeros(WORDS, dtype="<u8"))
    with pytest.raises(shmcomm.LoanOpenError):
        pub.loan()
    view[:] = 7
    del view
    assert sub.recv(timeout=0) is None
    pub.send(np.zeros(WORDS, dtype="<u8"))
    assert (sub.recv(timeout=5) == 0).all()


def test_memory_of_a_sent_message_is_not_written(feed):
    """A buffer of the array is a view, too: the block does not empty the array under it."""
    pub, sub = feed
    with pytest.raises(BufferError):
        with pub.loan() as array:
            kept = memoryview(array)
    assert array.size == WORDS and sub.recv(timeout=0) is None
    del kept, array
    with pub.loan() as array:
        array[:] = 3
    assert (sub.recv(timeout=5) == 3).all()


def test_loan_is_sent_and_dropped_without_a_block(feed):
    pub, sub = feed
    loan = pub.loan()
    array = loan.array
    array[:] = 5
    with pytest.raises(BufferError):
        loan.send()
    del array
    loan.send()
    assert not loan.open and (sub.recv(timeout=5) == 5).all()
    with pytest.raises(BufferError, match="was sent or dropped"):
        loan.send()
    with pytest.raises(BufferError):
        loan.array
    loan = pub.loan()
    loan.drop()
    loan.drop()
    del loan
    pub.loan()
    with pub.loan() as array:
        array[:] = 6
    assert (sub.recv(timeout=5) == 6).all()


def test_layouts_of_all_kinds_are_built_in_place(name):
    record = np.dtype([("x", "<f8"), ("seen", "?"), ("pad", "u1", 7)])
    with shmcomm.publisher(name, record) as pub, shmcomm.subscriber(name) as sub:
        with pub.loan() as one:
            one["x"], one["seen"], one["pad"] = 1.5, True, 0
        assert sub.recv(timeout=1)["x"] == 1.5
        with pytest.raises(shmcomm.InvalidMessageError, match="seen"):
            with pub.loan() as one:
                one["seen"].view("u1")[...] = 2
        with pytest.raises(TypeError):
            pub.loan(3)
        assert sub.recv(timeout=0) is None
    with shmcomm.publisher(name, bytes, slot_size=8192) as pub, shmcomm.subscriber(name) as sub:
        with pub.loan(5000) as one:
            one[:] = 9
        assert sub.recv(timeout=1) == bytes([9]) * 5000
        with pytest.raises(shmcomm.MessageTooLongError) as caught:
            pub.loan(8193)
        assert (caught.value.size, caught.value.capacity) == (8193, 8192)
        with pytest.raises(TypeError):
            pub.loan()
    cloud = shmcomm.Tail([("stamp", "<u8")], ("<f4", 3))
    with shmcomm.publisher(name, cloud, slot_size=1 << 16) as pub, shmcomm.subscriber(name) as sub:
        loan = pub.loan(1000)
        with loan as points:
            loan.header["stamp"] = 7
            points[:] = 2.5
        header, points = sub.recv(timeout=1)
        assert header["stamp"] == 7 and points.shape == (1000, 3) and (points == 2.5).all()
    with shmcomm.publisher(name, shmcomm.PICKLE) as pub:
        with pytest.raises(TypeError, match="use `send`"):
            pub.loan(3)


def test_loan_waits_for_subscribers(name):
    with shmcomm.publisher(name, ("<u8", WORDS), slots=2, waits=True) as pub, shmcomm.subscriber(name) as sub:
        sent = 0
        while pub.send(np.full(WORDS, sent, dtype="<u8"), timeout=0):
            sent += 1
        started = time.monotonic()
        with pytest.raises(shmcomm.TimeoutError):
            pub.loan(timeout=0.1)
        assert time.monotonic() - started >= 0.1
        with pytest.raises(shmcomm.TimeoutError):
            pub.loan(timeout=0)
        outcome = []

        def wait():
            try:
                pub.loan()
            except shmcomm.ClosedError:
                outcome.append("closed")

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.2)
        with pytest.raises(shmcomm.LoanOpenError):
            pub.send(np.zeros(WORDS, dtype="<u8"), timeout=0)
        pub.close()
        thread.join(timeout=5)
        assert outcome == ["closed"]
        assert [int(sub.recv(timeout=5)[0]) for _ in range(sent)] == list(range(sent))


def test_closed_publisher_leaves_with_its_loan(name):
    pub = shmcomm.publisher(name, ("<u8", WORDS))
    loan = pub.loan()
    array = loan.array
    pub.close()
    array[:] = 1
    with pytest.raises(shmcomm.ClosedError):
        pub.loan()
    del array
    loan.drop()
    with pytest.raises(shmcomm.NotFoundError):
        shmcomm.subscriber(name, timeout=0)


def test_forked_child_gets_an_error(feed):
    pub, sub = feed
    loan = pub.loan()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for call in (lambda: loan.array, loan.send, lambda: pub.loan(), lambda: pub.send(0)):
                try:
                    call()
                    code = 2
                    break
                except shmcomm.ForkedError:
                    code = 0
            loan.drop()
            del loan
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with loan as array:
        array[:] = 3
    assert (sub.recv(timeout=5) == 3).all()


def test_exit_with_a_loan_leaves_nothing_behind(name, program):
    code = """
import sys, shmcomm
pub = shmcomm.publisher(sys.argv[1], ("<u8", 4096))
loan = pub.loan()
array = loan.array
"""
    assert program(code, name).finish() == (0, "", "")


def test_loan_is_private_where_counts_are_not_exact(feed, monkeypatch):
    """Python 3.14 and Python without the GIL."""
    monkeypatch.setattr("shmcomm._channels.COUNTS", False)
    pub, sub = feed
    with pub.loan() as array:
        array[:] = 4
    assert (sub.recv(timeout=5) == 4).all()
    array[:] = 5
    assert sub.recv(timeout=0) is None
    with pytest.raises(ZeroDivisionError):
        with pub.loan() as array:
            1 / 0
    assert sub.recv(timeout=0) is None
