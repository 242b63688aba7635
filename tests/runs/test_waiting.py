"""Long work says how far it is where there is no terminal, and a run where it was trained."""

import threading
import time

import jax
import pytest

import jaxvae
from jaxvae.commands.parts import progress as bars
from jaxvae.runs.folder.summary import read_summary
from jaxvae.runs.progress import Expected, progress_bar
from jaxvae.runs.summary import machine_in_words, machine_of
from jaxvae.training.engine.loop import Report
from jaxvae.waiting import Pace, at_work, lines, seconds

pytestmark = pytest.mark.quick_compile


def test_a_line_comes_when_none_has_come_for_so_long_and_no_more_after_the_end(capsys):
    heard, count = threading.Event(), [0]

    def words():
        count[0] += 1
        if count[0] == 3:
            heard.set()
        return f"still at it, {count[0]}"

    with lines(words, every=0.01) as tell:
        tell("begun")
        assert heard.wait(30)
    said = capsys.readouterr().err.splitlines()
    assert said[0] in ("begun", "still at it, 1")
    assert "still at it, 3" in said
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_work_of_unknown_length_is_named_unless_nobody_wants_to_know(monkeypatch, capsys):
    monkeypatch.setattr("jaxvae.waiting.lines", lambda words: lines(words, every=0.01))
    for enabled in (False, True):
        with at_work("drawing", enabled):
            time.sleep(0.2)
        said = capsys.readouterr().err
        assert bool(said) == enabled
        assert said.startswith("drawing, 0 s so far" if enabled else "")


def test_what_is_told_in_time_is_not_said_twice(capsys):
    with lines(lambda: "still at it", every=60.0) as tell:
        tell("one")
        tell("two")
    assert capsys.readouterr().err == "one\ntwo\n"


def test_the_thread_ends_with_an_error_too():
    with pytest.raises(ValueError, match="no"), lines(lambda: "", every=60.0):
        raise ValueError("no")
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(beat)")]


def test_the_time_left_is_that_of_the_rest_at_the_pace_since_the_first_report():
    now = [0.0]
    pace = Pace(100, clock=lambda: now[0])
    now[0] = 100.0  # compiling
    assert pace.words() == "2 min so far"
    pace.tell(10)
    now[0] = 110.0
    pace.tell(30)
    assert pace.words() == "35 s left"
    now[0] = 120.0
    assert pace.words() == "25 s left"
    now[0] = 500.0
    assert pace.words() == "0 s left"
    assert Pace(None, clock=lambda: 0.0).words() == "0 s so far"
    assert [seconds(count) for count in (0.4, 59, 60, 3599, 3600)] == ["0 s", "59 s", "1 min", "60 min", "1.0 h"]


def test_a_command_in_a_log_file_says_how_far_it_is_and_a_quick_one_nothing(monkeypatch, capsys):
    with bars.progress_bar("images", 20) as progress:
        progress(5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(bars, "lines", lambda words: lines(words, every=0.01))
    with bars.progress_bar("images", 20) as progress:
        progress(5)
        time.sleep(0.3)
    assert "images: 5 of 20, " in capsys.readouterr().err


def test_the_facts_of_the_machine_are_those_that_jax_tells():
    found = machine_of(1, "bfloat16")
    assert (found["backend"], found["devices_there"]) == (jax.default_backend(), jax.device_count())
    assert found["precision"] == "float32, bfloat16 factors"
    assert found["versions"]["jax"] == jax.__version__
    words = machine_in_words(found)
    for word in (f"1 of {jax.device_count()} cpu devices", f"jaxvae {jaxvae.__version__}", "Python 3"):
        assert word in words


@pytest.mark.parametrize(
    "machine", ['"here"', "{}", '{"backend": "cpu", "kind": "cpu", "devices": 1, "devices_there": "two"}'], ids=len
)
def test_a_summary_whose_machine_is_damaged_is_said_to_be(machine, tmp_path):
    test = '{"images": 1, "samples": 1, "seed": 0, "protocol": "grey", "sha256": "00"}'
    path = tmp_path / "summary.json"
    path.write_text(f'{{"step": 1, "epochs": 1, "parameters": 1, "test": {test}, "machine": {machine}}}')
    with pytest.raises(ValueError, match="machine"):
        read_summary(path)


def reported(steps, seconds):
    return Report(None, 0, {"skipped": [0] * steps}, seconds)


def test_how_long_an_epoch_takes_is_said_once_and_not_by_the_call_that_compiles():
    expected = Expected(steps=1000, per_epoch=200)
    reports = reported(8, 50.0), reported(60, 6.0), reported(40, 4.0), reported(9, 1.0)
    told = [expected.tell(report) for report in reports]
    assert told == [None, None, "An epoch takes 20 s of training, the 5 of the run 2 min.", None]


def test_nothing_is_said_of_a_run_that_is_over_before_it_is_read():
    expected = Expected(steps=900, per_epoch=10)
    assert [expected.tell(reported(100, 1.0)) for _ in range(3)] == [None] * 3
    expected = Expected(steps=10_000, per_epoch=10)
    told = [expected.tell(reported(100, 1.0)) for _ in range(3)]
    assert told == [None, "An epoch takes less than a second of training, the 1000 of the run 2 min.", None]


def test_a_run_of_more_than_a_day_says_so_after_a_minute_of_slow_steps():
    expected = Expected(steps=20_000, per_epoch=20_000)
    assert expected.tell(reported(1, 100.0)) is None
    assert expected.tell(reported(2, 40.0)) is None
    line = expected.tell(reported(2, 40.0))
    assert line.startswith("An epoch takes 111.1 h: more than a day. Fewer --epochs")


def test_a_log_file_holds_that_line_and_a_quiet_run_none(capsys):
    for enabled in (True, False):
        with progress_bar(2000, 200, 10, enabled=enabled) as show:
            for _ in range(3):
                show(reported(100, 1.0), None)
        assert ("An epoch takes 2 s of training" in capsys.readouterr().err) == enabled


def test_a_quiet_run_says_that_it_takes_more_than_a_day_once_and_by_one_process(capsys):
    for leads in (True, False):
        with progress_bar(20_000, 20_000, 10, enabled=False, leads=leads) as show:
            for _ in range(5):
                show(reported(2, 40.0), None)
        said = capsys.readouterr().err
        assert said.count("jaxvae: An epoch takes 111.1 h: more than a day.") == said.count("\n") == leads
