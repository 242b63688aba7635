"""The experiments on anomalies and debiasing in their smallest setting, and what they refuse."""

import json

import numpy as np
import pytest
from small import untrained

import jaxvae
from experiments.studies import anomaly, anomaly_feedback, debiasing
from experiments.studies.anomaly_data import coloured, load_kind, mixed, of_class
from jaxvae.commands.cli import parse_options
from jaxvae.evaluation.probes.groups import group_accuracy

pytestmark = pytest.mark.quick_compile


def options(cls, *args):
    return parse_options(cls, [*args, "--no-progress"])


def small_anomaly(tmp_path, *args):
    """Runs the experiment on few digits against shapes; returns what it wrote."""
    anomaly.main(
        options(
            anomaly.AnomalyOptions, "--inliers", "digits", "--outliers", "shapes", "--train", "300", "--test", "40",
            "--epochs", "3", "--hidden", "32", "--latent-dim", "4", "--samples", "2", "--regret-steps", "2",
            "--no-both-ways", "--share", "0.05", "--workdir", str(tmp_path), *args,
        )
    )  # fmt: skip
    return json.loads((tmp_path / "anomaly.json").read_text())


@pytest.mark.full
def test_anomalies_in_digits_give_a_table_pictures_and_numbers(tmp_path, capsys):
    found = small_anomaly(tmp_path, "--no-feedback")
    printed = capsys.readouterr().out
    assert all(name in printed for name in anomaly.LABELS.values())
    scores = found["digits against shapes"]["scores"]
    assert set(scores) == set(anomaly.LABELS)
    for row in scores.values():
        assert all(low <= value <= high for value, low, high in row.values())
    assert scores["squared_error"]["auroc"][0] > 0.9
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"digits_{kind}.png" for kind in ("histograms", "roc", "precision", "most_anomalous")
    }


@pytest.mark.slow
def test_feedback_trains_on_what_each_way_says_and_scores_what_was_seen_and_unseen(capsys, monkeypatch):
    seen = []

    def trained(options, model, images, exposed=None):
        seen.append((images, exposed))
        return untrained(model)

    monkeypatch.setattr(anomaly_feedback, "trained", trained)  # the long tier trains; here what it is given counts
    few = ["--train", "40", "--test", "20", "--hidden", "4", "--latent-dim", "2", "--samples", "1"]
    small = options(anomaly.AnomalyOptions, "--inliers", "digits", "--outliers", "shapes", "--share", "0.2", *few)
    kinds = {name: load_kind(name, 40, 20, 8, 0) for name in ("digits", "shapes")}
    found = anomaly_feedback.feedback(small, "digits", "shapes", kinds)
    assert [len(images) for images, _ in seen] == [40, 32, 32, 40 - found["found"]]
    assert [None if out is None else len(out) for _, out in seen] == [None, None, 8, found["found"]]
    shapes = {image.tobytes() for image in kinds["shapes"].train}
    assert all(image.tobytes() in shapes for image in seen[3][1])
    assert found["outliers"] == 8 >= found["found"] > 0
    assert list(found["models"]) == [
        "as they are", "found ones left out", "found ones pushed away", "found, checked, pushed away",
    ]  # fmt: skip
    for row in found["models"].values():
        assert {name.split()[0] for name in row} == {"inliers_negative_elbo", "shapes", "noise"}
    assert "found ones pushed away" in capsys.readouterr().out


@pytest.mark.full
def test_outliers_fed_back_give_a_row_for_each_way(tmp_path, capsys):
    found = small_anomaly(tmp_path)["feedback"]
    assert "found ones pushed away" in capsys.readouterr().out
    assert found["outliers"] == 15 >= found["found"]
    areas = {name: row["shapes negative_elbo"][0] for name, row in found["models"].items()}
    assert areas["found ones pushed away"] > areas["as they are"]


def test_the_training_images_with_outliers_hold_the_share_asked_for():
    inliers, outliers = np.zeros((50, 2, 2, 1), np.uint8), np.ones((30, 2, 2, 1), np.uint8)
    images, is_outlier = mixed(inliers, outliers, 0.1, 0)
    assert len(images) == 50
    np.testing.assert_array_equal(images[:, 0, 0, 0] == 1, is_outlier)
    assert is_outlier.sum() == 5


def test_images_of_another_size_or_name_are_refused():
    with pytest.raises(ValueError, match="digits have shape"):
        load_kind("digits", 10, 10, 28, 0)
    with pytest.raises(ValueError, match="fashion_mnist"):
        load_kind("fashion", 10, 10, 28, 0)
    assert load_kind("shapes", 10, 5, 8, 0).test.shape == (5, 8, 8, 1)


def test_a_class_and_its_complement_are_all_images_and_a_tint_scales_grey():
    data = jaxvae.data.load("digits", "test")._replace(class_names=tuple("abcdefghij"))
    one, rest = of_class(data, "digits+d"), of_class(data, "digits-d")
    np.testing.assert_array_equal(one, data.images[data.labels == 3])
    np.testing.assert_array_equal(rest, data.images[data.labels != 3])
    assert len(of_class(data, "digits")) == 297
    with pytest.raises(ValueError, match="unknown class 'k'"):
        of_class(data, "digits+k")
    grey = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    found = coloured(grey, 0)
    assert found.shape == (3, 32, 32, 3)
    assert not found[:, :2].any()
    inside = np.float64(found[:, 2:-2, 2:-2])
    tints = inside.sum((1, 2)) / grey.sum((1, 2))
    assert ((tints > 0.24) & (tints < 1.01)).all()
    np.testing.assert_allclose(inside, grey * tints[:, None, None], atol=1.5)


@pytest.mark.full
def test_debiasing_prints_both_rows_and_draws_the_small_group_more_often(tmp_path, capsys):
    debiasing.main(
        options(
            debiasing.DebiasingOptions, "--data", "digits", "--train", "600", "--test", "100", "--epochs", "4",
            "--seeds", "2", "--hidden", "32", "--latent-dim", "4", "--weight", "10", "--workdir", str(tmp_path),
        )
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "by rarity" in printed
    assert "±" in printed
    table = json.loads((tmp_path / "debiasing.json").read_text())["table"]
    assert table["plain"]["drawn"][0] == pytest.approx(0.02)
    assert table["by rarity"]["drawn"][0] > 0.04
    assert (tmp_path / "most_and_least.png").stat().st_size > 1000


def test_the_small_group_is_a_share_of_the_images_and_differs_from_them_as_named():
    plain = options(debiasing.DebiasingOptions, "--data", "digits", "--share", "0.1", "--train", "100")
    turned = options(
        debiasing.DebiasingOptions, "--data", "digits", "--share", "0.1", "--train", "100", "--group", "rotated"
    )
    (a, labels, group), (b, again, _) = debiasing.split(plain, "train", 0), debiasing.split(turned, "train", 0)
    assert group.sum() == 10
    np.testing.assert_array_equal(labels, again)
    np.testing.assert_array_equal(a[~group], b[~group])
    np.testing.assert_array_equal(np.rot90(255 - a[group], axes=(1, 2)), b[group])
    assert debiasing.split(plain, "test", 0)[2].mean() == pytest.approx(0.5, abs=0.01)


def test_accuracy_by_group_is_that_of_each_group():
    rng = np.random.default_rng(0)
    correct, groups = rng.random(100) < 0.7, rng.integers(0, 3, 100)
    found = group_accuracy(correct, groups)
    for row, group in enumerate(found.groups):
        part = correct[groups == group]
        assert found.accuracy[row] == part.mean()
        assert found.standard_error[row] == pytest.approx(part.std() / np.sqrt(len(part)), rel=0.1)
    assert found.accuracy[found.worst] == found.accuracy.min()
    assert group_accuracy(np.ones(20, bool), np.zeros(20)).standard_error[0] == pytest.approx(0.0564, abs=1e-4)
    with pytest.raises(ValueError, match="correct has shape"):
        group_accuracy(correct, groups[:3])


@pytest.mark.parametrize(
    ("module", "cls", "args", "words"),
    [
        (anomaly, "AnomalyOptions", ["--inliers", "digit"], "digits"),
        (anomaly, "AnomalyOptions", ["--test", "5"], "test is 5"),
        (anomaly, "AnomalyOptions", ["--share", "0"], "share is 0"),
        (debiasing, "DebiasingOptions", ["--group", "invert"], "inverted"),
        (debiasing, "DebiasingOptions", ["--data", "digits", "--alpha", "0"], "alpha is 0"),
        (debiasing, "DebiasingOptions", ["--seeds", "1"], "seeds is 1"),
    ],
)
def test_wrong_options_are_named(module, cls, args, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        module.main(options(getattr(module, cls), *args, "--workdir", str(tmp_path)))
