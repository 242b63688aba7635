"""`experiments.groups`: the numbers of each group against NumPy, what a run by rarity draws, and what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import jaxvae
from experiments.tables import groups
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.results import collected
from jaxvae.runs import train
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, SamplerConfig
from jaxvae.runs.held_out import load_held_out

pytestmark = pytest.mark.quick_compile


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two runs of 60 pictures of three tones, of which the test sees 20; one draws by rarity."""
    folder, draw = tmp_path_factory.mktemp("groups"), np.random.default_rng(0)
    tone = np.repeat([0, 0, 1, 2], 15)
    images = np.clip(draw.normal(60 + 60 * tone[:, None, None, None], 20, (60, 12, 12, 3)), 0, 255).astype(np.uint8)
    base = np.arange(60) // 2
    np.savez(folder / "own.npz", images=images, kind=np.arange(60) % 2, tone=tone, base=base)
    data = DataConfig(str(folder / "own.npz"), protocol="grey", label_column="kind", group_column="base")
    data = replace(data, test_fraction=0.33)
    model = ModelConfig(hidden=(8,), latent_dim=2, likelihood="normal", std=0.2)
    config = Config(data=data, model=model, epochs=1, batch_size=10, parallel="jit", progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "draw_pictures", lambda *args, **options: None)
        for name, kind in (("plain", "uniform"), ("rare", "rarity")):
            chosen = replace(config, sampler=SamplerConfig(kind), seed=len(name))
            train.train_run(chosen, folder / name, say=lambda line: None)
    return folder


def asked(*args):
    return parse_options(groups.GroupsOptions, [str(arg) for arg in args])


@pytest.mark.slow
def test_the_row_of_a_group_is_the_mean_over_its_images_and_its_error_theirs(folders):
    runs = [folders / "plain", folders / "rare"]
    with collected() as tables:
        groups.main(asked(*runs, "--by", "tone", "--output", folders / "found"))
    assert (folders / "found" / "groups.png").stat().st_size > 1000
    named = {title.split(",")[0]: table for title, table in tables.items()}
    with np.load(folders / "own.npz") as file:
        arrays = dict(file)
    squares = []
    for run in runs:
        model, params, config = jaxvae.load(run)
        test = load_held_out(config.data)
        where = [np.flatnonzero((arrays["images"] == image).all((1, 2, 3)))[0] for image in test.raw]
        again = np.clip(generation.reconstructions(model, params, test.x), 0, 1)
        squares.append(((again - test.x) ** 2).sum((1, 2, 3)))
    tone, difference = arrays["tone"][where], squares[1] - squares[0]
    table = named["squared error"]
    assert [row[0] for row in table.rows] == ["tone 0", "tone 1", "tone 2", "all"]
    for row, rows in zip(table.rows, [tone == 0, tone == 1, tone == 2, tone >= 0], strict=True):
        assert row[1].value == rows.sum()
        for cell, values in zip(row[2:], [*squares, difference], strict=True):
            assert cell.value == pytest.approx(values[rows].mean(), rel=1e-4)
            assert cell.standard_error == pytest.approx(values[rows].std(ddof=1) / np.sqrt(rows.sum()), rel=1e-3)
    shares = np.array([[cell.value for cell in row[1:]] for row in named["share of training images"].rows])
    np.testing.assert_allclose(shares.sum(0), 100)
    np.testing.assert_allclose(shares[:, 1], shares[:, 0])
    assert "MS-SSIM" in named


@pytest.mark.slow
def test_by_itself_it_takes_the_labels_that_the_run_was_given(folders):
    with collected() as tables:
        groups.main(asked(folders / "plain"))
    assert [row[0] for row in next(iter(tables.values())).rows] == ["class 0", "class 1"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is not the config that the checkpoint was trained with:UserWarning")
def test_what_cannot_be_told_apart_or_paired_is_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="there is no run, expected one or more"):
        groups.main(asked())
    with pytest.raises(ValueError, match="skin"):
        groups.main(asked(folders / "plain", "--by", "skin"))
    other = tmp_path / "other"
    shutil.copytree(folders / "plain", other)
    config = json.loads((other / "config.json").read_text())
    config["data"] |= {"test_fraction": 0.5, "label_column": None, "train_sha256": None, "test_sha256": None}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"other sees other test images than .*plain"):
        groups.main(asked(folders / "plain", other, "--allow-changes"))
    with pytest.raises(ValueError, match="was given no labels, expected groups"):
        groups.main(asked(other, "--allow-changes"))
