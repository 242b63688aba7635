"""The share of samples nearer to training images: plain loops, every way to deal the images, and its null."""

import itertools

import numpy as np
import pytest

from jaxvae.evaluation.samples import nearer_to_training, nearest


def by_loops(samples, training, test):
    """The share, pair by pair."""
    found = 0.0
    for x in samples:
        near = [min(np.sqrt(np.square(x - y).sum()) for y in images) for images in (training, test)]
        found += 1.0 if near[0] < near[1] else 0.5 if near[0] == near[1] else 0.0
    return found / len(samples)


def test_the_nearest_is_that_of_plain_loops_however_far_the_origin():
    x, y = (np.random.default_rng(seed).normal(size=(30, 3)) + 1e6 for seed in (0, 1))
    found = nearest(x, y)
    expected = np.array([[np.linalg.norm(a - b) for b in y] for a in x])
    np.testing.assert_array_equal(found.which, expected.argmin(1))
    np.testing.assert_allclose(found.distance, expected.min(1), rtol=1e-6)


@pytest.mark.parametrize("count", [4, 5])
def test_the_share_and_its_null_are_those_of_every_deal_of_the_images(count):
    rng = np.random.default_rng(0)
    samples, images = rng.normal(size=(9, 2)), rng.normal(size=(8, 2))
    found = nearer_to_training(samples, images[:count], images[count:])
    assert found.share.mean == pytest.approx(by_loops(samples, images[:count], images[count:]))
    deals = [list(deal) for deal in itertools.combinations(range(8), count)]
    shares = [by_loops(samples, images[deal], np.delete(images, deal, 0)) for deal in deals]
    assert found.null.mean == pytest.approx(np.mean(shares)) == pytest.approx(count / 8)
    assert found.null.standard_error == pytest.approx(np.std(shares), rel=1e-9)


@pytest.mark.parametrize("training", [40, 200])
def test_without_a_copy_the_share_is_that_of_the_sizes_within_the_errors_of_its_null(training):
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sets = (rng.normal(size=(count, 3)) for count in (1000, training, 40))
        found.append(nearer_to_training(*sets))
    shares = [one.share.mean for one in found]
    assert np.mean(shares) == pytest.approx(training / (training + 40), abs=0.03)
    assert np.std([one.sigmas for one in found]) == pytest.approx(1, abs=0.25)


def test_the_null_of_many_images_is_the_binomial_error_and_that_of_few_is_more():
    rng = np.random.default_rng(1)
    many, few = (
        nearer_to_training(*(rng.normal(size=(count, 8)) for count in (samples, images, images)))
        for samples, images in ((50, 3000), (3000, 50))
    )
    assert many.null.standard_error == pytest.approx(many.share.standard_error, rel=0.1)
    assert few.null.standard_error > 3 * few.share.standard_error


def test_copies_are_seen_and_equally_near_images_count_half():
    rng = np.random.default_rng(0)
    training, test = rng.normal(size=(2, 50, 4))
    assert nearer_to_training(training + 1e-3, training, test).share.mean == 1.0
    assert nearer_to_training(training, training, test).sigmas > 4
    assert nearer_to_training(test, training, test).share.mean == 0.0
    same = nearer_to_training(rng.normal(size=(20, 4)), training, training)
    assert same.share.mean == 0.5
    assert same.null.standard_error == 0.0
    with pytest.raises(ValueError, match=r"expected features \(N, F\)"):
        nearer_to_training(rng.normal(size=(3, 4, 4, 1)), training, test)
