"""What processor time buys of a training, and how it is counted."""

import numpy as np
import pytest

from jaxvae import data
from jaxvae.data.splits import check_part
from jaxvae.runs.configs.config import Config
from jaxvae.runs.held_out import split_training
from jaxvae.runs.scoreboard.budget import Clock, FirstLook, bought, seconds_of


@pytest.mark.parametrize("text", ["", "2", "-2m", "0s", "2 minutes", "1e3s"])
def test_a_budget_in_other_words_is_refused(text):
    with pytest.raises(ValueError, match=r"budget is .*, expected processor time .* such as 90s"):
        seconds_of(text)
    assert seconds_of("1.5h") == 5400


def test_the_clock_goes_on_after_a_kill_and_pays_once_for_steps_trained_twice(tmp_path, monkeypatch):
    now = iter([10.0, 13.0, 100.0, 103.0])
    monkeypatch.setattr("jaxvae.runs.scoreboard.budget.time.process_time", lambda: next(now))
    first = Clock(tmp_path / "time.json")
    assert first.seconds(10) is None
    for step in (10, 40):  # the first ten steps compile
        first.write({"step": step})
    first.close()
    second = Clock(tmp_path / "time.json")
    for step in (30, 60):
        second.write({"step": step})
    assert second.seconds(60) == pytest.approx(6.0)  # a tenth of a second for each of 60 steps, however often


@pytest.mark.parametrize("seconds", [0.35, 1.0, 4.9, 10.5])
def test_a_budget_shorter_than_an_epoch_buys_whole_steps_of_one_and_a_longer_one_whole_epochs(seconds):
    look = FirstLook(step=0.1, per_epoch=45, choosing=0.2, megabytes=None)
    epochs, part = bought(look, seconds)
    paid = epochs * (part * 45 * 0.1 + 0.2)
    assert paid <= seconds + 1e-9
    assert paid + (0.1 if part < 1 else 4.7) > seconds  # nothing more would fit
    if part < 1:  # of 5,799 images in batches of 128, as a run divides them
        train = data.from_array(np.zeros((5799, 1, 1), np.uint8))
        kept, _ = split_training(Config(train_fraction=part), train)
        assert len(kept.examples) // 128 == round(part * 45)


def test_a_part_of_the_training_images_leaves_those_that_choose_the_epoch_as_they_are():
    train = data.from_array(np.arange(200, dtype=np.uint8).reshape(200, 1, 1), labels=np.arange(200))
    whole, chosen_by = split_training(Config(validation_fraction=0.1, seed=3), train)
    part, again = split_training(Config(validation_fraction=0.1, seed=3, train_fraction=0.25), train)
    assert again.labels.tolist() == chosen_by.labels.tolist()
    assert len(part.labels) == 45
    assert set(part.labels) < set(whole.labels)
    assert part.examples.ravel().tolist() == part.labels.tolist() == sorted(part.labels)
    other, _ = split_training(Config(train_fraction=0.25, seed=1), train)
    same, _ = split_training(Config(train_fraction=0.25, seed=2), train)
    assert other.labels.tolist() == same.labels.tolist()
    least, _ = split_training(Config(train_fraction=1e-9), train)
    assert len(least.labels) == 1


def test_a_part_of_less_than_a_batch_is_refused_with_the_part_that_would_do():
    for fraction, left in ((0.01, 15), (1e-9, 1)):
        words = (
            rf"train_fraction is {fraction:g}, which leaves {left} of 1500 .*at least 0\.086, or .* at most {left}\."
        )
        with pytest.raises(ValueError, match=words):
            check_part(fraction, 1500, 128)
    check_part(0.086, 1500, 128)
    check_part(0.5, 100, 128)  # whose whole is too small as well, which is said elsewhere
