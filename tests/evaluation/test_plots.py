"""Pictures hold exactly the pixels they were given; charts hold the numbers; nothing touches pyplot."""

import importlib
import inspect
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jaxvae.evaluation import plots
from jaxvae.evaluation.exact.grid import GridPosterior
from jaxvae.evaluation.latents.projections import project
from jaxvae.evaluation.plots import figures
from jaxvae.evaluation.probes.probes import LabelCurve
from jaxvae.evaluation.statistics import Estimate

pytestmark = pytest.mark.quick_compile

EVENTS = [(8, 8, 1), (5, 7, 3)]
PAIR = ([0.0, 1.0, 2.0], [1.5, 2.5])  # scores of inliers and of outliers


def random_images(*leading, event=(8, 8, 1), seed=0):
    return np.random.default_rng(seed).uniform(size=(*leading, *event)).astype(np.float32)


def pixels(ax):
    """The picture of an axes, with a channel axis."""
    (image,) = ax.images
    array = np.asarray(image.get_array())
    return array if array.ndim == 3 else array[..., None]


def labels(ax, axis):
    ticks = getattr(ax, f"{axis}axis")
    return [text.get_text() for text in ticks.get_ticklabels()]


def drawings():
    """Every public function with plain arguments, as ax -> (figure, ax)."""
    x, grid = random_images(5), random_images(3, 3)
    kl = np.array([0.5, 0.001, 2.0])
    steps = [{"epoch": i, "kl_per_latent": [float(i), 0.0]} for i in range(3)]
    train = [{"step": i, "elbo": -100.0 + i, "log_likelihood": -80.0 + i, "kl": 20.0 + i} for i in range(5)]
    return {
        "image_grid": lambda ax: plots.image_grid(x, ax=ax),
        "compare": lambda ax: plots.compare({"a": x, "b": x, "c": x}, ax=ax),
        "reconstructions": lambda ax: plots.reconstructions(x, x, ax=ax),
        "interpolations": lambda ax: plots.interpolations(grid, ax=ax),
        "traversals": lambda ax: plots.traversals(grid, [4, 5, 6], [-1.0, 0.0, 1.0], kl, ax=ax),
        "manifold": lambda ax: plots.manifold(grid, [-1.0, 0.0, 1.0], ax=ax),
        "kl_per_latent": lambda ax: plots.kl_per_latent(kl, ax=ax),
        "codes": lambda ax: plots.codes(np.eye(3), np.arange(3), ax=ax),
        "loss_curves": lambda ax: plots.loss_curves(train, ax=ax),
        "attribute_traversals": lambda ax: plots.attribute_traversals(grid, [-1.0, 0.0, 1.0], ax=ax),
        "projected_codes": lambda ax: plots.projected_codes(project(np.eye(6)), np.arange(6) % 2, ax=ax),
        "score_histograms": lambda ax: plots.score_histograms(*PAIR, ax=ax),
        "histogram_grid": lambda ax: plots.histogram_grid({"a": PAIR, "b": PAIR, "c": PAIR}, ax=ax),
        "roc_curves": lambda ax: plots.roc_curves({"a": PAIR}, ax=ax),
        "precision_recall_curves": lambda ax: plots.precision_recall_curves({"a": PAIR}, ax=ax),
        "label_curves": lambda ax: plots.label_curves({"a": LabelCurve(np.array([10, 99]), np.eye(2))}, ax=ax),
        "rate_distortion_curve": lambda ax: plots.rate_distortion_curve([0.0, 5.0], [20.0, 8.0], ["8", "1"], ax=ax),
        "trial_points": lambda ax: plots.trial_points([1e-3, 1e-2, 3e-3], [17, 18, 16], x="lr", y="nats", ax=ax),
        "value_lines": lambda ax: plots.value_lines(
            {"lr 0.1": ([1.0, 4.0], [Estimate(3.0, 0.1, 5), Estimate(2.0, 0.2, 5)])}, x="beta", y="nats", ax=ax
        ),
        "kl_over_training": lambda ax: plots.kl_over_training(steps, ax=ax),
        "kl_of_groups": lambda ax: plots.kl_of_groups(steps, ax=ax),
        "partial_draws": lambda ax: plots.partial_draws(np.stack([grid, grid]), [0, 1, 2], 3, ax=ax),
        "score_dots": lambda ax: plots.score_dots(["vae"], ["MIG", "SAP", "UDR"], np.ones((1, 3, 2)), ax=ax),
        "information_map": lambda ax: plots.information_map(np.eye(2), ["shape", "x"], ax=ax),
        "posterior_and_q": lambda ax: plots.posterior_and_q(normal_grid(), ax=ax),
        "two_turns": lambda ax: plots.two_turns(np.array([-9.0, -7.0, -6.0]), np.array([-7.0, -7.0, -5.0]), ax=ax),
    }


def normal_grid():
    """The posterior of an x that says nothing: the prior."""
    z = np.linspace(-4, 4, 9)
    log_prior = -0.5 * (z[None] ** 2 + np.log(2 * np.pi))
    one = np.ones((1, 1))
    return GridPosterior(np.zeros(1), one, one[None], np.exp(log_prior), 0 * log_prior, log_prior, (z,), np.zeros(1))


def test_every_plot_is_tried_and_every_chart_of_the_library_is_a_plot():
    many = {
        "column_pairs",
        "column_reconstructions",
        "board_chart",
    }  # of many axes, figures of their own; tried elsewhere
    assert set(drawings()) | many == set(plots.__all__) - {"save", "save_gif", "sliders", "most_varying"}
    found = set()
    for path in Path(figures.__file__).parent.glob("*.py"):
        if path.stem.endswith(("charts", "_grids")):
            module = importlib.import_module(f"jaxvae.evaluation.plots.{path.stem}")
            functions = inspect.getmembers(module, inspect.isfunction)
            found |= {
                name for name, function in functions
                if function.__module__ == module.__name__ and "title" in inspect.signature(function).parameters
                and name[0] != "_" and name != "show"
            }  # fmt: skip
    assert found | {"loss_curves", "save", "save_gif", "sliders", "most_varying"} == set(plots.__all__)


@pytest.mark.rows(slow=["histogram_grid"])
@pytest.mark.parametrize("name", drawings())
def test_a_plot_returns_its_figure_and_draws_on_the_axes_it_is_given(name):
    figure, ax = drawings()[name](None)
    assert isinstance(figure, Figure)
    assert np.ravel(ax)[0].figure is figure
    mine, given = figures.new_axes(columns=3)
    wanted = given if name in ("loss_curves", "score_dots", "histogram_grid") else given[1]
    figure, ax = drawings()[name](wanted)
    assert figure is mine
    assert list(np.ravel(ax)) == list(np.ravel(wanted))
    assert all(panel.has_data() for panel in np.ravel(ax))
    assert len(mine.axes) == 3


@pytest.mark.parametrize("event", EVENTS)
def test_the_grid_holds_every_pixel_in_reading_order(event):
    height, width, channels = event
    x = random_images(7, event=event)
    _, ax = plots.image_grid(x, columns=3)
    picture = pixels(ax)
    for i in range(7):
        top, left = i // 3 * (height + 1), i % 3 * (width + 1)
        np.testing.assert_array_equal(picture[top : top + height, left : left + width], x[i])
    assert picture.shape == (3 * height + 2, 3 * width + 2, channels)
    # All that is no image is white: the gaps and the two places left over.
    assert (picture == 1).sum() == picture.size - x.size


def test_raw_pixels_are_scaled_and_noise_beyond_the_range_is_clipped():
    raw = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1) * 4
    np.testing.assert_array_equal(pixels(plots.image_grid(raw)[1]), raw[0] / np.float32(255))
    noisy = random_images(1) * 3 - 1
    np.testing.assert_array_equal(pixels(plots.image_grid(noisy)[1]), noisy[0].clip(0, 1))


def test_grey_is_black_at_0_and_white_at_1_whatever_the_images_hold():
    _, ax = plots.image_grid(np.full((1, 8, 8, 1), 0.5))
    (image,) = ax.images
    assert image.get_clim() == (0, 1)
    assert [round(value) for value in image.to_rgba(np.array([[0.0, 1.0]]))[0, :, 0]] == [0, 1]


def test_compare_puts_the_same_example_under_itself_and_goes_on_in_a_new_band():
    x, y = random_images(5, seed=1), random_images(5, seed=2)
    _, ax = plots.compare({"original": x, "copy": y}, columns=3)
    picture = pixels(ax)
    for i in range(5):
        band, left = i // 3 * (2 * 8 + 1 + 4), i % 3 * 9
        np.testing.assert_array_equal(picture[band : band + 8, left : left + 8], x[i])
        np.testing.assert_array_equal(picture[band + 9 : band + 17, left : left + 8], y[i])
    assert labels(ax, "y") == ["original", "copy"] * 2
    centres = [band + row * 9 + 3.5 for band in (0, 21) for row in (0, 1)]
    assert list(ax.get_yticks()) == centres


def test_interpolations_stand_between_their_originals():
    path, a, b = random_images(2, 4), random_images(2, seed=1), random_images(2, seed=2)
    _, ax = plots.interpolations(path, a, b)
    picture, row = pixels(ax), slice(9, 17)  # of the second pair
    np.testing.assert_array_equal(picture[row, :8], a[1])
    np.testing.assert_array_equal(picture[row, 12:20], path[1, 0])
    np.testing.assert_array_equal(picture[row, 39:47], path[1, 3])
    np.testing.assert_array_equal(picture[row, 51:], b[1])
    assert labels(ax, "x") == ["original", "start", "end", "original"]


def test_the_manifold_keeps_its_orientation_and_names_its_axes():
    images = random_images(3, 3)
    _, ax = plots.manifold(images, [-1.5, 0.0, 1.5], latents=(4, 2))
    picture = pixels(ax)
    np.testing.assert_array_equal(picture[1:9, 21:29], images[0, 2])  # behind a frame of one pixel
    np.testing.assert_array_equal(picture[21:29, 1:9], images[2, 0])
    assert labels(ax, "x") == ["\N{MINUS SIGN}1.50", "0.00", "1.50"]
    assert labels(ax, "y") == ["1.50", "0.00", "\N{MINUS SIGN}1.50"]
    assert "z[4]" in ax.get_xlabel()
    assert "z[2]" in ax.get_ylabel()


def test_the_map_of_groups_has_a_row_for_each_and_time_where_it_was_logged():
    records = [{"epoch": 2, "kl_per_latent": [3.0, 0.0, 0.2]}, {"epoch": 6, "kl_per_latent": [5.0, 0.0, 1.0]}]
    _, ax = plots.kl_of_groups(records)
    (drawn,) = ax.collections
    np.testing.assert_allclose(drawn.get_array(), [[3.0, 5.0], [0.01, 0.01], [0.2, 1.0]])
    assert drawn.get_coordinates()[0, :, 0].tolist() == [0, 2, 6]
    assert ax.get_title(loc="left") == "6.0 nats in 3 groups, 2 of them above 0.1 nats"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1", "2", "3"]


def test_traversals_are_sorted_by_kl():
    images = random_images(3, 2)
    _, ax = plots.traversals(images, [7, 8, 9], [-1.0, 1.0], kl=[0.5, 2.25, 0.0])
    assert [label.split()[:2] for label in labels(ax, "y")] == [["z[8]", "2.25"], ["z[7]", "0.50"], ["z[9]", "0.00"]]
    np.testing.assert_array_equal(pixels(ax)[1:9, 1:9], images[1, 0])


def test_kl_bars_are_sorted_and_the_collapsed_latents_set_apart():
    kl = np.array([0.5, 0.002, 2.0, 0.0])
    _, ax = plots.kl_per_latent(np.stack([kl - 0.001, kl + 0.001]))  # a mean over examples
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [2.0, 0.5, 0.002, 0.0], atol=1e-12)
    assert labels(ax, "x") == ["2", "0", "1", "3"]
    assert ax.get_title(loc="left").startswith("2 of 4 latents above 0.01 nats; together 2.5 nats")
    (line,) = ax.lines
    assert list(line.get_xdata()) == [1.5, 1.5]
    colors = [bar.get_facecolor() for bar in ax.patches]
    assert colors[0] == colors[1] != colors[2] == colors[3]


def test_loss_curves_turn_the_bound_into_a_loss_and_leave_out_what_has_no_number():
    train = [{"step": i, "elbo": -90.0 - i, "log_likelihood": -70.0, "kl": 20.0 + i} for i in range(4)]
    train[2]["elbo"] = None
    test = [{"step": 3, "elbo": -99.0, "elbo_standard_error": 0.5, "log_likelihood": -71.0, "kl": 28.0}]
    figure, panels = plots.loss_curves(train, test)
    figure.canvas.draw()
    first = panels[0].lines[0]
    assert list(first.get_xdata()) == [0, 1, 3]
    assert list(first.get_ydata()) == [90, 91, 93]
    assert list(panels[1].lines[0].get_ydata()) == [70] * 4
    assert list(panels[2].lines[0].get_ydata()) == [20, 21, 22, 23]
    (bars,) = panels[0].containers
    ((low, high),) = [segment[:, 1] for segment in bars.lines[2][0].get_segments()]
    assert (low, high) == (98.5, 99.5)
    words = [text.get_text() for text in panels[0].texts]
    assert words == ["test 99.00 \N{PLUS-MINUS SIGN} 0.50", "train"]
    assert panels[0].get_ylim()[0] <= 90 < 99.5 <= panels[0].get_ylim()[1]


def test_loss_curves_show_the_validation_points_and_the_epoch_that_was_kept():
    rows = [(1, -90.0), (2, -80.0), (3, -85.0)]
    train = [{"epoch": i, "elbo": value, "log_likelihood": -70.0, "kl": 20.0} for i, value in rows]
    held = [{**record, "elbo": record["elbo"] - 5} for record in train]
    history = [{**record, "validation": record["elbo"] - 5, "best_epoch": min(record["epoch"], 2)} for record in train]
    for given, more in ((train, {"validation": held, "kept": 2}), (history, {})):
        _, panels = plots.loss_curves(given, x="epoch", **more)
        _, points, mark = panels[0].lines
        assert list(points.get_xdata()) == [1, 2, 3]
        assert list(points.get_ydata()) == [95, 85, 90]
        assert list(mark.get_xdata()) == [2, 2]
        assert [text.get_text() for text in panels[0].texts] == ["validation 85.00", "kept", "train"]
        assert panels[0].get_ylim()[1] >= 95
    _, panels = plots.loss_curves(train, x="epoch")
    assert not panels[0].texts


@pytest.mark.slow
def test_a_long_noisy_log_becomes_a_short_line_and_its_first_fall_is_cut_off():
    train = [{"step": i, "elbo": -100 - 900 * (i < 50), "log_likelihood": -80.0, "kl": 20.0} for i in range(3000)]
    _, panels = plots.loss_curves(train)
    (line,) = panels[0].lines
    assert len(line.get_xdata()) <= 150
    assert panels[0].get_ylim()[1] < 200


def test_codes_are_points_of_two_latents_named_by_class():
    means = np.array([[0.0, 9.0, 1.0], [0.2, 9.0, 1.2], [5.0, 9.0, -1.0]])
    _, ax = plots.codes(means, np.array([3, 3, 8]), latents=(0, 2))
    (points,) = ax.collections
    np.testing.assert_array_equal(points.get_offsets(), means[:, [0, 2]])
    colors = points.get_facecolors()
    assert (colors[0] == colors[1]).all()
    assert (colors[0] != colors[2]).any()
    assert [(text.get_text(), *np.round(text.get_position(), 6)) for text in ax.texts] == [
        ("3", 0.1, 1.1),
        ("8", 5.0, -1.0),
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["3", "8"]


def test_names_of_classes_that_share_a_place_stand_apart():
    means = np.array([[0.0, 0.0], [0.0, 0.01], [10.0, 0.0], [0.0, 10.0]])
    _, ax = plots.codes(means, np.array([1, 2, 3, 4]))
    first, second = (np.array(text.get_position()) for text in ax.texts[:2])
    assert np.hypot(*(first - second)) > 0.39
    _, ax = plots.codes(np.arange(22.0).reshape(11, 2), np.arange(11))
    assert ax.get_legend() is None  # of eleven classes two would share a colour


def test_a_class_is_named_where_it_is_most_among_its_own():
    places = np.array([[0.0, 0.0], [0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    means = np.repeat(places, [30, 30, 20, 20], axis=0)  # of class 0 more lie at 0, all of them under class 1
    _, ax = plots.codes(means, np.repeat([0, 1, 0, 2], [30, 30, 20, 20]))
    assert [round(text.get_position()[0]) for text in ax.texts] == [10, 0, 20]
    _, ax = plots.codes(np.full((3, 2), np.nan), np.arange(3))  # of a model that has diverged
    assert not ax.texts


def test_rows_of_paths_are_named():
    paths = random_images(6).reshape(2, 3, *random_images(6).shape[1:])
    _, ax = plots.interpolations(paths, rows=["linear", "spherical"])
    assert labels(ax, "y") == ["linear", "spherical"]
    with pytest.raises(ValueError, match=r"rows has 1 entries, expected 2"):
        plots.interpolations(paths, rows=["linear"])


@pytest.mark.slow
def test_save_writes_the_same_bytes_again_and_leaves_no_other_file(tmp_path):
    first, second = (plots.save(plots.image_grid(random_images(6))[0], tmp_path / f"{i}.png") for i in range(2))
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert image.text == {}
        assert image.size[0] > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png"]


@pytest.mark.slow
def test_a_failed_save_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure, ax = plots.image_grid(random_images(1))
    ax.set_title("$\\no such command$")  # fails while drawing
    with pytest.raises(ValueError, match="no such command"):
        plots.save(figure, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.slow
def test_pictures_can_be_drawn_in_threads(tmp_path):
    def draw(i):
        plots.save(plots.image_grid(random_images(4, seed=i))[0], tmp_path / f"{i}.png")

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = plots.save(plots.image_grid(random_images(4, seed=3))[0], tmp_path / "again.png")
    assert (tmp_path / "3.png").read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys; from jaxvae.evaluation import plots; import numpy as np; "
        "assert 'matplotlib' not in sys.modules; plots.codes(np.eye(2), [0, 1])[0].canvas.draw(); "
        "plots.loss_curves([dict(step=0, elbo=1, log_likelihood=1, kl=1)]); "
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def wrong_calls():
    x, grid = random_images(3), random_images(3, 3)
    values = [-1.0, 0.0, 1.0]
    figure = plots.image_grid(x)[0]
    return {
        "no channel axis": ("images has shape", lambda: plots.image_grid(x[..., 0])),
        "two channels": ("1 or 3 channels", lambda: plots.image_grid(random_images(3, event=(8, 8, 2)))),
        "no images": ("images has shape", lambda: plots.image_grid(x[:0])),
        "levels": ("model.to_unit", lambda: plots.image_grid(x * 255)),
        "NaN": ("images has values", lambda: plots.image_grid(np.where(x > 0.5, np.nan, x))),
        "columns": ("columns is 0", lambda: plots.image_grid(x, 0)),
        "rows differ": ("expected one shape", lambda: plots.reconstructions(x, x[:2])),
        "a name with raw values": ("reconstruction has values", lambda: plots.reconstructions(x, x * 255)),
        "one end": ("b is None", lambda: plots.interpolations(grid, x)),
        "another end": ("a has shape", lambda: plots.interpolations(grid, x[:2], x)),
        "flat interpolations": ("images has shape", lambda: plots.interpolations(x)),
        "latents": ("latents has 2 entries", lambda: plots.traversals(grid, [0, 1], values)),
        "values": ("values has 2 entries", lambda: plots.traversals(grid, [0, 1, 2], values[:2])),
        "kl of another length": ("kl has 1 entries", lambda: plots.traversals(grid, [0, 1, 2], values, [1.0])),
        "partial draws": ("kept has 1 entries", lambda: plots.partial_draws(np.stack([grid]), [0], 3)),
        "manifold": (r"expected \(2, 2", lambda: plots.manifold(grid, values[:2])),
        "kl": ("kl has shape", lambda: plots.kl_per_latent(np.array([1.0, np.nan]))),
        "threshold": ("threshold is -1", lambda: plots.kl_per_latent(np.ones(2), threshold=-1.0)),
        "codes": ("means has shape", lambda: plots.codes(np.zeros((3, 1)))),
        "labels": ("labels has shape", lambda: plots.codes(np.eye(3), [0, 1])),
        "no records": ("train records", lambda: plots.loss_curves([])),
        "records of null": ("train records", lambda: plots.loss_curves([{"step": 1, "elbo": None}])),
        "one axes": ("ax has 1 axes", lambda: plots.loss_curves([], ax=[figure.axes[0]])),
        "suffix": ("ends in .png", lambda: plots.save(figure, "a.pdf")),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_input_is_named(name):
    words, call = wrong_calls()[name]
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.slow
def test_saving_into_a_folder_that_is_not_there_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        plots.save(plots.image_grid(random_images(1))[0], tmp_path / "absent" / "a.png")
