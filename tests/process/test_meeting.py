"""How the processes of a job find each other: addresses, waiting that is said, and lines in place of aborts."""

import socket
import threading
import time

import pytest

from jaxvae.training.jobs import meeting
from jaxvae.training.jobs.meeting import address, check_free, saying_who_waits, wait_for_the_first


@pytest.mark.parametrize("wrong", ["nonsense", "host:", ":80", "host:port", "host:0", "host:65536", ""])
def test_an_address_without_host_or_port_is_refused(wrong):
    with pytest.raises(ValueError, match="expected HOST:PORT, such as localhost:12345"):
        address(wrong)


@pytest.mark.parametrize("host", ["localhost", "no-such-host.invalid"])
def test_a_process_0_that_never_comes_is_one_line_after_a_word_of_waiting(host):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    said: list[str] = []
    with pytest.raises(ConnectionError, match=f"nobody listened at {host}:{port} for 0 s"):
        wait_for_the_first(f"{host}:{port}", said.append, patience=0.4)
    assert [line.partition(" (")[0] for line in said] == [f"Waiting for process 0 at {host}:{port}"]


def test_a_port_that_is_taken_is_said_before_jax_falls_over_it():
    with socket.create_server(("", 0)) as server:
        place = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(OSError, match=f"process 0 cannot listen at {place}"):
            check_free(place)
    check_free(place)


def test_one_that_comes_later_is_met():
    with socket.socket() as server:
        server.bind(("localhost", 0))
        place = f"localhost:{server.getsockname()[1]}"
        threading.Timer(0.3, server.listen).start()
        begun = time.monotonic()
        wait_for_the_first(place, lambda line: None, patience=20.0)
        assert time.monotonic() - begun >= 0.2


def test_who_waits_says_so_once_and_only_when_it_lasts(monkeypatch):
    monkeypatch.setattr(meeting, "QUIET", 0.05)
    said: list[str] = []
    with saying_who_waits("host:1", 3, said.append):
        time.sleep(0.5)
    with saying_who_waits("host:1", 3, said.append), saying_who_waits(None, None, said.append):
        pass
    time.sleep(0.2)
    assert said == ["Waiting at host:1 for all 3 processes, 300 s at most."]
