"""GIFs read back by pillow: every frame, its time, and the loop."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxvae.evaluation.plots import animations, image_grids

pytestmark = pytest.mark.quick_compile


def read(path):
    """(frames [T, H, W, 3], milliseconds [T], the image's information) of a GIF."""
    with Image.open(path) as image:
        frames, times = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGB")))
            times.append(frame.info["duration"])
        return np.stack(frames), times, dict(image.info)


@pytest.mark.parametrize("channels", [(), (1,)])
def test_grey_frames_come_back_to_the_bit(tmp_path, channels):
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 24, *channels)).astype(np.uint8)
    found, times, info = read(animations.save_gif(frames, tmp_path / "a.gif", seconds=0.05))
    np.testing.assert_array_equal(found, np.repeat(frames.reshape(5, 16, 24, 1), 3, axis=-1))
    assert times == [50] * 5
    assert info["loop"] == 0  # for ever


def test_a_few_colours_come_back_exactly_and_each_frame_has_its_time(tmp_path):
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    frames[0, :4], frames[1, :, :4], frames[2] = (63, 144, 218), (189, 31, 1), (255, 169, 14)
    found, times, _ = read(animations.save_gif(frames, tmp_path / "a.gif", seconds=[0.1, 0.2, 1.5]))
    np.testing.assert_array_equal(found, frames)
    assert times == [100, 200, 1500]


def test_fewer_greys_and_colours_make_a_smaller_file_of_the_nearest_ones(tmp_path):
    grey = np.tile(np.arange(256, dtype=np.uint8), (2, 8, 1))
    found, _, _ = read(animations.save_gif(grey, tmp_path / "a.gif", colors=16))
    np.testing.assert_array_equal(np.unique(found), np.arange(0, 256, 17))
    assert np.abs(found[..., 0].astype(int) - grey).max() <= 8
    noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    few, many = (animations.save_gif(noise, tmp_path / f"{n}.gif", colors=n).stat().st_size for n in (8, 256))
    assert few < many / 2
    assert len(np.unique(read(tmp_path / "8.gif")[0][0].reshape(-1, 3), axis=0)) <= 8


def test_many_colours_come_back_nearly(tmp_path):
    y, x = np.mgrid[0:32, 0:32]
    frame = np.stack([8 * x, 8 * y, np.full_like(x, 128)], axis=-1).astype(np.uint8)
    found, _, _ = read(animations.save_gif([frame, frame[::-1]], tmp_path / "a.gif"))
    assert np.abs(found[0].astype(int) - frame).mean() < 8
    assert np.abs(found[1].astype(int) - frame[::-1]).mean() < 8


def test_the_same_frames_give_the_same_bytes_and_nothing_else_is_left(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    first, second = (animations.save_gif(frames, tmp_path / name).read_bytes() for name in ("a.gif", "b.gif"))
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]


def test_there_and_back_repeats_no_frame():
    assert animations.there_and_back(list("abcd")) == list("abcdcb")
    assert animations.there_and_back(["a"]) == ["a"]
    assert animations.there_and_back(["a", "b"]) == ["a", "b"]


def test_frames_of_several_sizes_are_filled_up_with_white():
    small, wide = np.zeros((2, 3, 3), np.uint8), np.full((2, 5, 3), 7, np.uint8)
    first, second = animations.same_size([small, wide])
    assert (first[:, :3] == 0).all()
    assert (first[:, 3:] == 255).all()
    np.testing.assert_array_equal(second, wide)


def test_a_figure_is_rendered_in_its_size_with_its_pixels():
    bright, dark = (np.full((1, 8, 8, 1), value) for value in (1.0, 0.0))
    light, night = (animations.rendered(image_grids.image_grid(image)[0], dpi=50) for image in (bright, dark))
    assert light.dtype == np.uint8
    assert light.shape == night.shape
    assert light.min() == 255
    middle = tuple(size // 2 for size in night.shape[:2])
    assert night[middle].max() == 0


@pytest.mark.parametrize("rows", [(), ("z[0]   2.25 nats",)])
def test_a_title_longer_than_its_picture_ends_on_the_page(rows):
    title = "One latent in each column at \N{MINUS SIGN}1.96, MMMMMMMMMM"
    cells = np.zeros((1, 1, 8, 8, 1), np.float32)
    figure, _ = image_grids.show(cells, None, title=title, row_gaps=[], column_gaps=[], rows=rows)
    assert (animations.rendered(figure)[:, -3:] == 255).all()


FRAME = np.zeros((4, 4), np.uint8)
WRONG = {
    "colors": (lambda path: animations.save_gif([FRAME], path, colors=300), ValueError, "colors is 300"),
    "none": (lambda path: animations.save_gif([], path), ValueError, "at least one frame"),
    "shapes": (lambda path: animations.save_gif([FRAME, FRAME[1:]], path), ValueError, "all of one shape"),
    "channels": (lambda path: animations.save_gif(np.zeros((1, 4, 4, 2), np.uint8), path), ValueError, r"\(H, W, 3\)"),
    "floats": (lambda path: animations.save_gif(FRAME[None] / 255, path), TypeError, "expected uint8"),
    "ending": (lambda path: animations.save_gif(FRAME[None], path.with_suffix(".png")), ValueError, ".gif"),
    "folder": (lambda path: animations.save_gif(FRAME[None], path / "no" / "a.gif"), FileNotFoundError, "no folder"),
    "times": (lambda path: animations.save_gif(FRAME[None], path, seconds=[1, 2]), ValueError, "2 entries"),
    "too fast": (lambda path: animations.save_gif(FRAME[None], path, seconds=0.001), ValueError, "seconds is 0.001"),
}


@pytest.mark.rows(slow=["too fast"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named_and_writes_nothing(name, tmp_path):
    call, error, words = WRONG[name]
    with pytest.raises(error, match=words):
        call(tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
