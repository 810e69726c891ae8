"""Arguments that no call can take: the errors name the argument and the value."""

import pytest

import shmcomm


@pytest.mark.parametrize("wrong", [{"slots": -1}, {"slot_size": -4}, {"seats": -1}, {"slots": 1 << 64}, {"seats": 1 << 40}])
def test_numbers_beyond_the_limits_are_refused(name, wrong):
    with pytest.raises(shmcomm.InvalidGeometryError) as caught:
        shmcomm.pusher(name, "<i8", **wrong)
    assert caught.value.channel == name and f"channel `{name}`" in str(caught.value)


def test_names_that_are_no_str_are_refused():
    for wrong in (None, 5, b"x"):
        with pytest.raises(TypeError, match="the name of a channel is a str"):
            shmcomm.publisher(wrong, "<i8")


def test_negative_numbers_of_messages_are_refused(name):
    with pytest.raises(ValueError, match="`history` is -1"):
        shmcomm.subscriber(name, history=-1)
    with shmcomm.publisher(name, bytes) as pub:
        with pytest.raises(ValueError, match="`items` is -1"):
            pub.loan(-1)
        with shmcomm.subscriber(name, timeout=None) as sub:
            assert sub.recv(timeout=0) is None


def test_dtype_that_numpy_cannot_make_again_is_refused(name):
    with pytest.raises(shmcomm.SchemaError):
        shmcomm.publisher(name, ("<f4", (2, 0)))


def test_set_stays_usable_after_a_wrong_key():
    with shmcomm.WaitSet() as ready:
        with pytest.raises(TypeError):
            ready.add_timer([], 1.0)
        assert len(ready) == 0
