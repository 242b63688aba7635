"""Features from a file: those of the network that was written, of plain loops, and what no network is."""

import numpy as np
import pytest

from experiments.tables.score_table import make_features
from jaxvae.evaluation.samples import Rectified, read_features, train_classifier, write_features
from jaxvae.networks.deterministic import ConvDeterministicEncoder

pytestmark = pytest.mark.quick_compile
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


@pytest.mark.slow
def test_a_classifier_that_was_written_gives_the_same_features_and_answers(tmp_path):
    labels = np.arange(20) % 2
    network = Rectified(ConvDeterministicEncoder(3, (2, 4), 5))
    classifier = train_classifier(IMAGES, labels, (IMAGES, labels), network=network, steps=3, batch_size=10)
    write_features(tmp_path / "mine.npz", classifier, "of noise")
    found = read_features(tmp_path / "mine.npz")
    assert found.name.startswith("mine.npz (sha256 ")
    assert found.name.endswith("), 3 units")
    assert found.note == "of noise"
    np.testing.assert_allclose(found.vectors(IMAGES), classifier.features(IMAGES), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.probabilities(IMAGES), classifier.probabilities(IMAGES), rtol=1e-5)


def test_a_stack_of_layers_is_that_of_plain_loops(tmp_path):
    kernel, bias = RNG.normal(size=(3, 3, 3, 2)), RNG.normal(size=2)
    dense, offset, mean = RNG.normal(size=(2, 4)), RNG.normal(size=4), np.array([0.5, 0.4, 0.3])
    layers = {"kernel_0": kernel, "bias_0": bias, "stride_0": 1, "kernel_1": dense, "bias_1": offset}
    np.savez(tmp_path / "mine.npz", **layers, mean=mean, std=np.full(3, 0.25))
    padded = np.pad((IMAGES / 255 - mean) / 0.25, ((0, 0), (1, 1), (1, 1), (0, 0)))
    h = np.zeros((20, 8, 8, 2))
    for row in range(8):
        for column in range(8):
            patch = padded[:, row : row + 3, column : column + 3]
            h[:, row, column] = np.maximum(np.einsum("nabi,abio->no", patch, kernel) + bias, 0)
    expected = np.maximum(h.mean((1, 2)) @ dense + offset, 0)
    np.testing.assert_allclose(read_features(tmp_path / "mine.npz").vectors(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_what_is_no_stack_of_layers_is_refused_by_name(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(FileNotFoundError, match=r"no file .*mine\.npz, expected an \.npz with the weights"):
        read_features(path)
    np.savez(path, weights=np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"mine\.npz holds weights, expected kernel_0, bias_0"):
        read_features(path)
    np.savez(path, kernel_0=np.zeros((4, 4)), bias_0=np.zeros(3))
    with pytest.raises(ValueError, match=r"kernel_0 has shape \(4, 4\) and bias_0 \(3,\)"):
        read_features(path)
    np.savez(path, kernel_0=np.zeros((5, 4)), bias_0=np.zeros(4))
    with pytest.raises(ValueError, match=r"kernel_0 has shape \(5, 4\), but what it is given has shape \(8, 8, 3\)"):
        read_features(path).vectors(IMAGES)


def test_a_function_of_ones_own_is_named_with_its_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def brightness(images):\n    return images.mean((1, 2))\n\n\ndef bad(images):\n    return images\n"
    )
    nothing = (IMAGES, None)
    found = make_features(f"{path}:brightness", "noise", nothing, nothing, 0)
    assert found.name.startswith("brightness of mine.py (sha256 ")
    np.testing.assert_array_equal(found.vectors(IMAGES), IMAGES.mean((1, 2)))
    with pytest.raises(ValueError, match=r"bad made features of shape \(20, 8, 8, 3\), expected \(20, F\)"):
        make_features(f"{path}:bad", "noise", nothing, nothing, 0).vectors(IMAGES)
    with pytest.raises(ValueError, match=r"features is 'inception', expected classifier, pca, pixels, a file"):
        make_features("inception", "noise", nothing, nothing, 0)
