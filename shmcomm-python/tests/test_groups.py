"""Channels that the users of a group share: with the own group, and, as root, with a process of another user."""

from __future__ import annotations

import grp
import os
import subprocess
import sys
import uuid

import numpy as np
import pytest

import shmcomm

SCRIPT = """
import os, sys
import numpy, shmcomm  # before the user changes, who may not read the interpreter's files
os.setgroups([int(sys.argv[1])]); os.setgid(41001); os.setuid(41001)
name, group = sys.argv[2:]
with shmcomm.subscriber(name, group=group) as feed, shmcomm.puller(name + "/jobs", group=group) as jobs:
    print("ready", flush=True)
    print(int(feed.recv(timeout=20)), int(jobs.recv(timeout=20)), flush=True)
"""


@pytest.fixture
def shared_dir(monkeypatch: pytest.MonkeyPatch):
    """A directory like /dev/shm, which any user may write to."""
    path = f"/dev/shm/python-groups-{uuid.uuid4().hex}"
    os.mkdir(path)
    os.chmod(path, 0o1777)
    monkeypatch.setenv("SHMCOMM_DIR", path)
    yield path
    subprocess.run(["rm", "-r", path], check=True)


def test_ends_of_the_own_group_meet_and_private_ones_do_not(shared_dir: str) -> None:
    number = os.getegid()
    try:
        group = grp.getgrgid(number).gr_name
    except KeyError:
        group = str(number)
    with shmcomm.publisher("imu", "<i8", mode=0o660) as feed, shmcomm.publisher("imu", "<i8") as private:
        with shmcomm.subscriber("imu", group=group) as shared, shmcomm.subscriber("imu") as own:
            feed.send(np.int64(1))
            private.send(np.int64(2))
            assert (int(shared.recv(timeout=5)), int(own.recv(timeout=5))) == (1, 2)
        assert [segment.group for segment in shmcomm.list_segments()] == [None, group]
    with shmcomm.replier("square", "<i8", "<i8", group=group), shmcomm.requester("square", group=group):
        with pytest.raises(shmcomm.NotFoundError):
            shmcomm.pusher("square/jobs", group=group)
    assert os.stat(f"{shared_dir}/shmcomm.{group}").st_mode & 0o7777 == 0o2770


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o600])
def test_other_modes_are_refused(mode: int) -> None:
    with pytest.raises(shmcomm.AccessError, match="take 0o660"):
        shmcomm.publisher("imu", "<i8", group="daemon", mode=mode)


def test_unknown_groups_are_refused() -> None:
    with pytest.raises(shmcomm.AccessError, match="getent group"):
        shmcomm.publisher("imu", "<i8", group="no-such-group")
    with pytest.raises(shmcomm.AccessError, match="getent group"):
        shmcomm.subscriber("imu", group="no-such-group")


def test_users_of_a_group_share_channels(shared_dir: str) -> None:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true", "only the superuser can start processes of other users"
        pytest.skip("only the superuser can start processes of other users")
    group = grp.getgrnam("daemon")
    with (
        shmcomm.publisher("imu", "<i8", group="daemon") as feed,
        shmcomm.pusher("imu/jobs", "<i8", group="daemon") as jobs,
    ):
        command = [sys.executable, "-c", SCRIPT, str(group.gr_gid), "imu", "daemon"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            feed.send(np.int64(7))
            jobs.send(np.int64(8))
            assert process.stdout.readline() == "7 8\n"
