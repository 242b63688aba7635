"""Codes and features without spread, or beyond the range of single precision, reach no compiled code of others.

t-SNE of equal points ends the process by a segmentation fault, and so do distances whose squares are 0 or infinite.
"""

import numpy as np
import pytest

from jaxvae.evaluation.disentanglement.beta_vae import beta_vae_score
from jaxvae.evaluation.disentanglement.dci import dci_score
from jaxvae.evaluation.disentanglement.factor_vae import factor_vae_score
from jaxvae.evaluation.fitted_priors.closed_form import fit_gaussian_mixture
from jaxvae.evaluation.latents.attributes import logistic_attribute_vector
from jaxvae.evaluation.latents.projections import neighbour_agreement, pca, tsne
from jaxvae.evaluation.probes.probes import cluster, knn_probe, linear_probe
from jaxvae.evaluation.statistics import varying

NORMAL = np.random.default_rng(0).normal(size=(40, 5))
LABELS = np.arange(40) % 2
FACTORS = np.stack([LABELS, np.arange(40) // 10], axis=1)
EQUAL = {
    "zeros": np.zeros((40, 5)),
    "ones": np.ones((40, 5)),
    "rounding": 0.1 + 1e-16 * NORMAL,
    "subnormal": 5e-324 * np.arange(40.0)[:, None] * np.ones(5),
    "squares of zero": 1e-200 * NORMAL,
}
USERS = {
    "t-SNE": tsne,
    "PCA": pca,
    "neighbours": lambda x: neighbour_agreement(x, LABELS),
    "linear probe": lambda x: linear_probe((x, LABELS), (x, LABELS)),
    "knn probe": lambda x: knn_probe((x, LABELS), (x, LABELS)),
    "k-means": lambda x: cluster(x, LABELS),
    "attribute": lambda x: logistic_attribute_vector(x, LABELS > 0),
    "DCI": lambda x: dci_score(x, FACTORS),
    "beta-VAE": lambda x: beta_vae_score(x, FACTORS, pairs=8, train=40, test=40),
    "FactorVAE": lambda x: factor_vae_score(x, FACTORS, size=8, train=40, test=40),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_codes_have_no_neighbourhoods_clusters_or_mixture(name):
    assert not varying(EQUAL[name]).any()
    with pytest.raises(ValueError, match=r"the 40 codes are all the same.*collapsed"):
        tsne(EQUAL[name])
    if name in ("zeros", "ones"):
        with pytest.raises(ValueError, match="clusters is 2, expected at most 1"):
            cluster(EQUAL[name], LABELS)
        with pytest.raises(ValueError, match="1 different codes for 3 components"):
            fit_gaussian_mixture(EQUAL[name], 3)


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.parametrize("user", sorted(USERS.keys() - {"t-SNE", "k-means"}))
def test_what_equal_codes_are_worth_is_finite_and_without_a_warning(user, name):
    found = USERS[user](EQUAL[name])
    parts = found if isinstance(found, tuple) else [found]
    numbers = [np.ravel(part) for part in parts if np.asarray(part).dtype.kind == "f"]
    assert numbers
    assert np.isfinite(np.concatenate(numbers)).all()


@pytest.mark.parametrize("user", USERS)
def test_numbers_that_overflow_when_they_are_squared_are_refused_by_name(user):
    with pytest.raises(ValueError, match=r"has the value .*e\+(200|199) at index \(\d+, \d+\).*not finite"):
        USERS[user](1e200 * NORMAL)


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_the_unit_of_the_codes_does_not_matter_to_t_sne(unit):
    shares = [neighbour_agreement(tsne(codes).points, LABELS).mean() for codes in (NORMAL, unit * NORMAL)]
    assert np.isfinite(shares).all()
    assert abs(shares[0] - shares[1]) < 0.3
