"""``shmcomm.compat`` and the life of a process: fork, Ctrl-C, exit, threads, and closing."""

import logging
import os
import signal
import threading
import time

import pytest

import shmcomm
import shmcomm.compat as compat


def test_forked_child_gets_an_error(name):
    with compat.Publisher(name) as pub, compat.Subscriber(name) as sub:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for call in (lambda: pub.send(1), lambda: sub.recv(timeout=0), sub.stats, sub.recv):
                    try:
                        call()
                        code = 2
                        break
                    except compat.SHMConnectionError as error:
                        if "fork" not in str(error):
                            code = 3
                            break
                else:
                    pub.close()
                    sub.close()
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        pub.send("the parent continues")
        assert sub.recv(timeout=1) == "the parent continues"


@pytest.mark.parametrize(
    "wait",
    [
        "shm.Subscriber(name, timeout_connect=60)",
        "with shm.Publisher(name) as pub, shm.Subscriber(name) as sub: print('ready', flush=True); sub.recv()",
        "with shm.Replier(name) as rep, shm.Requester(name) as req: print('ready', flush=True); req.request(1, None)",
        "with shm.Replier(name) as rep: print('ready', flush=True); rep.recv()",
        "push = shm.Pusher(name, num_slots=2); push.send(1); print('ready', flush=True); push.send(2)",
    ],
)
def test_interrupt_ends_a_wait(name, program, wait):
    code = "import sys, shmcomm.compat as shm\nname = sys.argv[1]\n"
    if "60" in wait:
        code += "print('ready', flush=True)\n"
    code += "from shmcomm.compat import _ends\n_ends.LINGER = 0.1\n"
    other = program(code + wait, name)
    assert other.line() == "ready"
    time.sleep(0.3)
    started = time.monotonic()
    other.process.send_signal(signal.SIGINT)
    code, _, errors = other.finish()
    assert time.monotonic() - started < 5
    assert "KeyboardInterrupt" in errors and code != 0


def test_exit_leaves_nothing_behind(name, program):
    code = """
import sys, shmcomm.compat as shm
name = sys.argv[1]
ends = [shm.Publisher(name), shm.Pusher(name), shm.Replier(name)]
ends += [shm.Subscriber(name), shm.Puller(name), shm.Requester(name)]
ends[0].send(1), ends[1].send(1), ends[4].recv(timeout=1), ends[5].send(1)
"""
    assert program(code, name).finish() == (0, "", "")


def test_pusher_waits_for_its_jobs(name, monkeypatch, caplog):
    push, pull = compat.Pusher(name), compat.Puller(name)
    push.send("late")
    taken = []
    taker = threading.Timer(0.3, lambda: taken.append(pull.recv(timeout=5)))
    taker.start()
    push.close()
    taker.join()
    assert taken == ["late"]
    pull.close()
    from shmcomm.compat import _ends

    monkeypatch.setattr(_ends, "LINGER", 0.05)
    push = compat.Pusher(name)
    push.send("nobody takes it")
    with caplog.at_level(logging.WARNING, "shmcomm"):
        push.close()
        # The thread that restores removed names would write its record now.
        time.sleep(0.3)
        shmcomm._logging.flush()
    assert [record.getMessage() for record in caplog.records] == [f"Pusher({name!r}) closed with 1 job that no puller has taken"]


def test_threads_share_an_end(name):
    with compat.Publisher(name, num_slots=4096) as pub, compat.Subscriber(name) as sub:
        received, lock = [], threading.Lock()

        def take():
            while (message := sub.recv(timeout=2)) != "end":
                with lock:
                    received.append(message)

        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 301):
            pub.send(number)
            sub.stats()
        for _ in threads:
            pub.send("end")
        for thread in threads:
            thread.join()
        assert sorted(received) == list(range(1, 301))


def test_close_ends_the_wait_of_another_thread(name):
    with compat.Publisher(name):
        sub = compat.Subscriber(name)
        outcome = []

        def wait():
            try:
                sub.recv()
            except compat.SHMConnectionError as error:
                outcome.append(str(error))

        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(0.1)
        sub.close()
        waiter.join(timeout=5)
        assert not waiter.is_alive() and "closed" in outcome[0]
