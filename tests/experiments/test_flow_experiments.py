"""The experiments of flows as models of data in their smallest settings."""

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from experiments.lectures import level_density, table_density

pytestmark = pytest.mark.quick_compile


@pytest.mark.slow
def test_a_table_gives_a_row_for_every_density_and_the_gaussian_is_scipys(tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        name: np.float32(rng.normal(size=(60, 2)) @ [[1.0, 0.5], [0.0, 0.5]]) for name in ("train", "valid", "test")
    }
    np.savez(tmp_path / "table.npz", **rows)
    sizes = {"components": 2, "layers": 1, "hidden": (4,), "bins": 2, "epochs": 1, "batch_size": 30}
    options = table_density.TableDensityOptions(str(tmp_path / "table.npz"), output=str(tmp_path / "out"), **sizes)
    found = table_density.compared(options)
    assert list(found) == ["Gaussian, full covariance", "mixture of 2", "spline flow"]
    covariance = np.cov(rows["train"], rowvar=False, bias=True)
    expected = multivariate_normal(rows["train"].mean(0), covariance).logpdf(rows["test"])
    np.testing.assert_allclose(found["Gaussian, full covariance"], expected, atol=1e-3)
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert numbers["spline flow"]["mean"] == pytest.approx(found["spline flow"].mean())


def test_a_table_without_its_splits_is_named(tmp_path):
    np.savez(tmp_path / "table.npz", train=np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="expected train, valid and test"):
        table_density.splits(str(tmp_path / "table.npz"))


@pytest.mark.full
def test_more_draws_of_the_noise_never_loosen_the_bound_on_levels(tmp_path):
    sizes = {"layers": 1, "hidden": (8,), "epochs": 1, "batch_size": 450, "samples": (1, 10)}
    options = level_density.LevelDensityOptions(output=str(tmp_path), **sizes)
    found = level_density.bounds(options)
    assert list(found) == ["elbo", "iwae_1", "iwae_10"]
    assert found["iwae_10"].mean < found["elbo"].mean < 64 * np.log(17) + 50
    assert json.loads((tmp_path / "numbers.json").read_text())["elbo"]["examples"] == 297
