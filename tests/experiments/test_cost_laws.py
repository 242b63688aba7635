"""Laws of cost: powers are fitted as they are, and a step of each axis is one that can be measured."""

import numpy as np
import pytest

from experiments.benchmarks import cost_laws
from experiments.benchmarks.cost_laws import AXES, Axis, measure
from experiments.benchmarks.cost_slopes import draw, ends, slope
from experiments.benchmarks.streaming import stream

pytestmark = pytest.mark.quick_compile


@pytest.mark.parametrize("power", [-1.0, 0.0, 2.0])
def test_a_power_is_found_whatever_stands_before_it(power):
    x = np.array([3.0, 10.0, 50.0])
    assert slope(x, 7 * x**power) == pytest.approx(power)


def test_a_bend_shows_as_two_slopes():
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    low, high = ends(x, np.array([5.0, 5.0, 5.0, 50.0]))
    assert low == pytest.approx(0)
    assert high == pytest.approx(0.5)  # of the points 10, 100 and 1000


@pytest.mark.slow
def test_the_theory_of_every_axis_is_drawn():
    found = [
        cost_laws.Measured([float(v) ** axis.time for v in axis.values], [float(v) ** axis.memory for v in axis.values])
        for axis in AXES
    ]
    panels = [ax for ax in draw(AXES, found).axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in panels] == [axis.name for axis in AXES]
    for ax, axis in zip(panels, AXES, strict=True):
        assert f"processor time: {axis.time:.2f} ({axis.time:g})" in ax.get_legend_handles_labels()[1]
        measured, theory = ax.lines[1].get_ydata(), ax.lines[0].get_ydata()
        np.testing.assert_allclose(measured, theory, rtol=1e-6)


@pytest.mark.slow
def test_two_points_are_measured_and_the_larger_one_needs_more_memory():
    axis = Axis("batch", (4, 64), lambda n: {"batch": n, "hidden": (4,), "side": 8, "latents": 2}, 1, 1)
    milliseconds, megabytes = measure(axis, 1)
    assert all(value > 0 for value in milliseconds)
    assert megabytes[1] > megabytes[0] + 64 * 60 * 4 / 1e6  # the pictures alone


@pytest.mark.slow
def test_a_stream_takes_the_steps_of_an_epoch_and_its_block_does_not_grow_with_the_file():
    (few, small), (many, large) = (stream(rows, 8, (4,), 2) for rows in (100, 1000))
    assert [few(), few()] == [12, 12]  # calls end with the epoch, of 12 steps
    assert [many(), many()] == [32, 32]
    assert large - small == pytest.approx(900 * 4 / 1e6)
