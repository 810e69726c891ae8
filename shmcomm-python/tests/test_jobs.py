"""Jobs that are done at the end of a block, or return to their queue."""

import os
import threading
import time

import pytest

import shmcomm


@pytest.fixture
def queue(name):
    with shmcomm.pusher(name, "<i8") as push, shmcomm.puller(name) as pull, shmcomm.puller(name) as other:
        yield push, pull, other


def test_job_is_done_at_the_end_of_its_block(queue):
    push, pull, other = queue
    push.send(7)
    job = pull.claim(timeout=5)
    with job as number:
        assert number == 7 and not job.redelivered
        assert other.recv(timeout=0) is None
    assert other.recv(timeout=0) is None and pull.recv(timeout=0) is None
    with pytest.raises(shmcomm.ClosedError, match="done or put back"):
        job.done()
    with pytest.raises(shmcomm.TimeoutError):
        pull.claim(timeout=0.05)


def test_job_returns_to_its_queue_after_an_exception(queue):
    push, pull, other = queue
    push.send(7)
    with pytest.raises(ZeroDivisionError):
        with pull.claim(timeout=5):
            1 / 0
    job = other.claim(timeout=5)
    assert job.redelivered and job.message == 7
    job.put_back()
    job.put_back()
    pull.claim(timeout=5)
    assert other.recv(timeout=5) == 7, "a job that is garbage returns"


def test_puller_has_one_job_at_a_time(queue):
    push, pull, _ = queue
    push.send(1), push.send(2)
    with pull.claim(timeout=5):
        for call in (pull.claim, lambda: pull.recv(timeout=0)):
            with pytest.raises(shmcomm.LoanOpenError, match="finish it first"):
                call()
    assert pull.recv(timeout=5) == 2


def test_close_ends_the_wait_for_a_job_and_keeps_a_job(queue):
    push, pull, other = queue
    outcome = []

    def wait():
        try:
            pull.claim()
        except shmcomm.ClosedError:
            outcome.append("closed")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    pull.close()
    thread.join(timeout=5)
    assert outcome == ["closed"]
    push.send(3)
    with other.claim(timeout=5) as number:
        other.close()
        assert number == 3
    with pytest.raises(shmcomm.ClosedError):
        other.claim()


def test_job_of_a_killed_process_returns(name, program):
    code = """
import sys, time, shmcomm
pull = shmcomm.puller(sys.argv[1])
job = pull.claim(timeout=30)
print(int(job.message), flush=True)
time.sleep(60)
"""
    with shmcomm.pusher(name, "<i8") as push, shmcomm.puller(name) as pull:
        push.send(9)
        other = program(code, name)
        assert other.line() == "9"
        other.process.kill()
        job = pull.claim(timeout=30)
        assert job.redelivered and job.message == 9
        job.done()


def test_forked_child_gets_an_error(queue):
    push, pull, other = queue
    push.send(5)
    job = pull.claim(timeout=5)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job.done()
        except shmcomm.ForkedError:
            code = 0
        finally:
            job.put_back()
            del job
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert other.recv(timeout=0) is None
    job.done()
    assert other.recv(timeout=0) is None
