"""What is left of a picture, against plain loops and Pillow; and the guesses that need no model."""

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.lectures import restore
from jaxvae.data import degradations

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (8, 12, 3), dtype=np.uint8)
UNIT = np.float32(X) / 255


def test_grey_is_what_pillow_calls_luma():
    found = np.asarray(degradations.grey(UNIT))[..., 0] * 255
    np.testing.assert_allclose(found, np.asarray(Image.fromarray(X).convert("L")), atol=0.51)
    with pytest.raises(ValueError, match=r"shape \(8, 12, 1\), expected a colour picture"):
        degradations.grey(UNIT[..., :1])


def test_a_coarse_picture_has_the_mean_of_each_square():
    found = np.asarray(degradations.low_resolution(UNIT, 4))
    for row in range(8):
        for column in range(12):
            at = slice(row // 4 * 4, row // 4 * 4 + 4), slice(column // 4 * 4, column // 4 * 4 + 4)
            np.testing.assert_allclose(found[row, column], UNIT[at].mean((0, 1)), atol=1e-6)
    with pytest.raises(ValueError, match=r"factor is 5, expected sides that are multiples"):
        degradations.low_resolution(UNIT, 5)


def test_what_is_masked_is_seen_nowhere():
    known = RNG.uniform(size=(8, 12)) < 0.5
    found = np.asarray(degradations.masked(UNIT, known))
    np.testing.assert_array_equal(found[..., 3], known)
    np.testing.assert_array_equal(found[known][:, :3], UNIT[known])
    assert not found[~known].any()
    with pytest.raises(ValueError, match=r"known has shape \(12, 8\), expected \(8, 12\)"):
        degradations.masked(UNIT, known.T)


def test_noise_is_another_for_every_key_and_is_not_clipped():
    one, other = (np.asarray(degradations.noisy(jax.random.key(seed), UNIT, 0.5)) for seed in (0, 1))
    assert not np.allclose(one, other)
    assert one.min() < 0 < 1 < one.max()
    assert (one - UNIT).std() == pytest.approx(0.5, rel=0.15)


def test_the_simple_guesses_of_an_even_picture_are_exact():
    options = restore.RestoreOptions(size=8, factor=4, std=0.0)
    images = np.full((3, 8, 8, 3), 51, np.uint8)
    for task in restore.TASKS:
        told = restore.contexts(options, task, images)
        guess = restore.baseline(options, task, told, images)
        assert guess.shape == images.shape
        assert restore.psnr(guess, images / 255).mean == pytest.approx(60, abs=1e-3)
    assert restore.psnr(np.full((2, 4, 4, 3), 0.1), np.zeros((2, 4, 4, 3))).mean == pytest.approx(20)


@pytest.mark.full
def test_a_small_run_measures_a_task_beside_no_context(tmp_path, capsys, monkeypatch):
    images = RNG.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "tiny.npz", images=images, base=np.arange(24) // 2)
    small = {"task": ("hole",), "size": 4, "features": (4,), "latent_dim": 2, "epochs": 1, "batch_size": 8, "draws": 1}
    given = {"data": str(tmp_path / "tiny.npz"), "group_column": "base", "workdir": str(tmp_path), "progress": False}
    restore.main(restore.RestoreOptions(**small, **given))
    printed = capsys.readouterr().out
    assert "no context" in printed
    assert "inpainting of the middle" in printed
    assert (tmp_path / "hole.png").stat().st_size > 2000
    with pytest.raises(ValueError, match=r"size is 3, expected square ones in colour whose sides are a multiple"):
        restore.load_pictures(restore.RestoreOptions(size=3, data=given["data"]), "test")
