"""Disentanglement: known codes against their known scores, formulas against other libraries and worked examples."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import hadamard
from scipy.stats import norm, spearmanr
from sklearn.metrics import mutual_info_score

from jaxvae.evaluation import disentanglement as d
from jaxvae.evaluation.disentanglement.information import entropy, equal_mass_bins, mutual_information
from jaxvae.evaluation.disentanglement.sap import balanced_accuracy
from jaxvae.evaluation.disentanglement.tables import rows_sharing
from jaxvae.evaluation.disentanglement.udr import pair_score

pytestmark = pytest.mark.quick_compile

GRID = np.indices((5, 5, 5, 5)).reshape(4, -1).T  # four factors of five values, all 625 combinations
CODE = GRID - 2.0  # one latent a factor
ROTATED = CODE @ hadamard(4) / 2  # every latent mixes all factors equally
NOISE = np.random.default_rng(0).normal(size=GRID.shape)


def dci_part(name):
    return lambda codes, factors: getattr(d.dci_score(codes, factors, trees=5), name)


def own_udr(codes, factors):
    """UDR of a code with the factors themselves as the other model."""
    return d.unsupervised_ranking([codes, factors.astype(float)])[0]


# name -> (score, the most that the rotated code may have, and the noise)
SCORES = {
    "beta_vae": (functools.partial(d.beta_vae_score, train=400, test=400), 0.5, 0.4),
    "factor_vae": (functools.partial(d.factor_vae_score, train=400, test=400), 0.5, 0.4),
    "mig": (d.mutual_information_gap, 0.02, 0.02),
    "sap": (d.separated_predictability, 0.02, 0.02),
    "dci_disentanglement": (dci_part("disentanglement"), 0.1, 0.1),
    "dci_completeness": (dci_part("completeness"), 0.1, 0.1),
    "modularity": (d.modularity_score, 0.02, 0.02),
    "irs": (d.interventional_robustness, 0.4, 0.2),
    "udr": (own_udr, 0.3, 0.1),
}
each = pytest.mark.parametrize("name", SCORES)


@each
def test_a_perfect_code_scores_one_in_any_order_sign_and_scale(name):
    score = SCORES[name][0]
    assert score(CODE, GRID) == pytest.approx(1.0, abs=1e-6)
    changed = CODE[:, [2, 0, 3, 1]] * [-1.0, 3.0, -0.1, 100.0] + [0.0, 5.0, -7.0, 0.0]
    assert score(changed, GRID) == pytest.approx(1.0, abs=1e-6)


@each
def test_a_rotated_code_scores_low_and_noise_near_its_floor(name):
    score, rotated, noise = SCORES[name]
    assert score(ROTATED, GRID) <= rotated
    assert score(NOISE, GRID) <= noise


@each
def test_dead_latents_do_not_change_a_perfect_score(name):
    dead = np.concatenate([np.full((len(CODE), 1), 0.1), CODE, np.zeros((len(CODE), 2))], axis=1)
    assert SCORES[name][0](dead, GRID) == pytest.approx(1.0, abs=1e-6)


@each
def test_the_order_and_the_sign_of_latents_do_not_count_for_any_code(name):
    mixed = np.concatenate([CODE[:, :3] + 0.5 * NOISE[:, :3], CODE[:, 3:] + CODE[:, :1]], axis=1)
    # Sums run in another order; a forest breaks ties by column, and a code on the edge of a bin falls to one side.
    tolerance = {"dci": 0.03, "mig": 0.005, "mod": 0.005}.get(name[:3], 1e-6)
    changed = -mixed[:, [3, 1, 0, 2]]
    assert SCORES[name][0](changed, GRID) == pytest.approx(SCORES[name][0](mixed, GRID), abs=tolerance)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "irs"])
def test_the_scale_of_latents_does_not_count_where_the_paper_says_so(name):
    mixed = CODE + 0.5 * CODE[:, [1, 2, 3, 0]] + 0.5 * NOISE
    scaled = mixed * [10.0, 0.1, 1.0, 3.0]
    assert SCORES[name][0](scaled, GRID) == pytest.approx(SCORES[name][0](mixed, GRID), abs=0.01)


@each
def test_half_a_code_lies_between_noise_and_perfection(name):
    if name == "modularity":
        pytest.skip("each latent that tells something tells of one factor: modular, however few they are")
    half = np.concatenate([CODE[:, :2], NOISE[:, 2:]], axis=1)
    score = SCORES[name][0]
    assert score(NOISE, GRID) + 0.02 < score(half, GRID) < 0.999


@pytest.mark.parametrize("name", [name for name in SCORES if name != "udr"])
def test_tables_that_cannot_be_scored_say_why(name):
    score = SCORES[name][0]
    constant = GRID.copy()
    constant[:, 2] = 7
    for codes, factors, words in (
        (CODE, constant, ["factor 2 is 7", "at least two values", "Leave that column out"]),
        (CODE[:10], GRID, ["10 rows", "625", "one code for each example"]),
        (CODE[:, 0], GRID, ["codes has shape (625,)", "[N, Z]"]),
        (np.where(CODE == 2, np.nan, CODE), GRID, ["codes has the value nan", "finite"]),
        (CODE, np.arange(2500).reshape(625, 4), ["factor 0 has 625 values in 625 examples", "at least two examples"]),
        (CODE[:0], GRID[:0], ["codes has shape (0, 4)"]),
    ):
        with pytest.raises(ValueError, match=r".") as error:
            score(codes, factors)
        for word in words:
            assert word in str(error.value)
    with pytest.raises(TypeError, match="expected an array of numbers"):
        score([["a", "b"]], GRID)


def test_entropy_and_mutual_information_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 7, 500)
    b = (a + rng.integers(0, 3, 500)) % 5
    assert mutual_information(a, b) == pytest.approx(mutual_info_score(a, b), abs=1e-12)
    assert entropy(a) == pytest.approx(mutual_info_score(a, a), abs=1e-12)


def test_the_correction_takes_off_the_bias_of_independent_variables():
    rng = np.random.default_rng(2)
    raw, corrected = (
        [mutual_information(rng.integers(0, 20, 2000), rng.integers(0, 8, 2000), correct=flag) for _ in range(200)]
        for flag in (False, True)
    )
    bias, error = 19 * 7 / 4000, np.std(raw) / math.sqrt(200)
    assert abs(np.mean(raw) - bias) < 5 * error + 0.001
    assert np.mean(corrected) < bias / 5  # not below 0 by construction, so a little is left


def test_bins_hold_equal_shares_keep_ties_together_and_follow_ranks_alone():
    rng = np.random.default_rng(3)
    column = rng.normal(size=1000)
    assert np.bincount(equal_mass_bins(column, 8)).tolist() == [125] * 8
    assert (equal_mass_bins(np.exp(column), 8) == equal_mass_bins(column, 8)).all()
    tied = rng.integers(0, 50, 1000)
    bins = equal_mass_bins(tied, 8)
    assert all(len(set(bins[tied == value])) == 1 for value in range(50))
    assert (equal_mass_bins(tied, 50) == tied).all()


def test_mig_of_a_worked_example():
    """Factor a fair coin v and another w; z_0 is v through a binary channel of error 1/4, z_1 is both."""
    rows = [(v, w, v ^ (repeat == 3)) for v, w, repeat in itertools.product((0, 1), (0, 1), range(4))]
    v, w, noisy = np.array(rows).T
    codes, factors = np.stack([noisy, 2 * v + w], 1), np.stack([v, w], 1)
    bit = math.log(2)
    channel = bit + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    information = d.information_matrix(codes, factors, correct=False)
    np.testing.assert_allclose(information, [[channel, 0], [bit, bit]], atol=1e-12)
    expected = ((bit - channel) / bit + 1) / 2
    assert d.mutual_information_gap(codes, factors, correct=False) == pytest.approx(expected, abs=1e-12)


def test_a_fine_factor_gets_as_many_bins_as_it_has_values():
    factors = np.indices((32, 4)).reshape(2, -1).T.repeat(10, axis=0)
    codes = factors + np.random.default_rng(4).uniform(0, 0.9, factors.shape)
    assert d.mutual_information_gap(codes, factors) == pytest.approx(1.0, abs=0.03)
    assert d.mutual_information_gap(codes, factors, bins=20) < 0.95  # 20 bins cannot tell 32 values


def test_information_of_posteriors_is_that_of_the_channel():
    """A fair coin through Gaussian noise: I = H(z) - H(z | v), by quadrature; and a latent that tells nothing."""
    mean = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 500, axis=0)
    factor = np.repeat([[0], [1]], 500, axis=0)

    def mixture(z):
        return (norm.pdf(z, -1) + norm.pdf(z, 1)) / 2

    height = quad(lambda z: -mixture(z) * math.log(mixture(z)), -12, 12)[0]
    expected = height - 0.5 * math.log(2 * math.pi * math.e)
    found = d.posterior_information(jax.random.key(0), mean, np.zeros_like(mean), factor, draws=1000)
    assert found[0, 0] == pytest.approx(expected, abs=5 * 0.6 / math.sqrt(1000))
    assert found[1, 0] == pytest.approx(0, abs=1e-5)
    binned = d.information_matrix(mean, factor)[0, 0]
    assert binned == pytest.approx(math.log(2), abs=0.01)  # the means alone tell all: bins do not see the noise


def test_the_gap_of_posteriors_sees_noise_that_bins_of_means_do_not():
    log_var = np.full(CODE.shape, 1.0)
    sharp = d.posterior_gap(jax.random.key(0), CODE, np.full(CODE.shape, -6.0), GRID, draws=625)
    noisy = d.posterior_gap(jax.random.key(0), CODE, log_var, GRID, draws=625)
    assert sharp == pytest.approx(1.0, abs=1e-3)
    assert 0.05 < noisy < 0.5


def by_search(column, classes):
    """Balanced accuracy of every rule with at most C intervals, tried one by one."""
    count, places = classes.max() + 1, np.unique(column)
    cuts = (places[1:] + places[:-1]) / 2
    best = 0.0
    for chosen in itertools.combinations(cuts, min(count - 1, len(cuts))):
        interval = np.searchsorted(chosen, column)
        for labels in itertools.product(range(count), repeat=len(chosen) + 1):
            right = np.array(labels)[interval] == classes
            best = max(best, np.mean([right[classes == c].mean() for c in range(count)]))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_the_best_thresholds_are_found(seed):
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(3), rng.integers(0, 3, 15)])
    column = rng.integers(0, 8, 18) + (seed % 2) * classes
    assert balanced_accuracy(column, classes) == pytest.approx(by_search(column, classes), abs=1e-12)


def test_sap_is_the_squared_correlation_for_numbers_and_thresholds_for_classes():
    rng = np.random.default_rng(5)
    codes = CODE + rng.normal(size=CODE.shape)
    matrix = d.predictability_matrix(codes, GRID, categorical=[1])
    expected = np.corrcoef(codes.T, GRID.T)[:4, 4:] ** 2
    np.testing.assert_allclose(matrix[:, [0, 2, 3]], expected[:, [0, 2, 3]], atol=1e-12)
    assert matrix[1, 1] == pytest.approx(balanced_accuracy(codes[:, 1], GRID[:, 1]))
    # A class of five values: the best latent is always right, the second in one case of five.
    assert d.separated_predictability(CODE, GRID, categorical=[1]) == pytest.approx((3 + 0.8) / 4)


def test_dci_of_a_worked_example():
    """Importances by hand: latent 0 tells of both factors alike, latent 1 of the second, latent 2 of none."""
    importance = np.array([[0.5, 0.5], [0.0, 0.5], [0.0, 0.0]])
    disentanglement, completeness = d.dci_from_importance(importance)
    assert disentanglement == pytest.approx(1.0 / 1.5 * 0 + 0.5 / 1.5 * 1)
    assert completeness == pytest.approx((1 + (1 - math.log(2) / math.log(3))) / 2)


@pytest.mark.slow
def test_lasso_and_forest_agree_on_a_linear_code_and_only_the_forest_bends():
    codes = CODE[:, [1, 0, 2, 3]] + 0.05 * NOISE
    for method in ("lasso", "forest"):
        result = d.dci_score(codes, GRID, method=method, trees=5)
        assert result.importance.argmax(0).tolist() == [1, 0, 2, 3]
        assert result.disentanglement > 0.85
        assert result.error < 0.2
    bent = np.array([1.0, -2.0, 0.0, 2.0, -1.0])[GRID]  # no correlation with the factor, and all of its values
    assert d.dci_score(bent, GRID, method="lasso").error > 0.95
    for categorical in ((), (0, 1)):
        result = d.dci_score(bent, GRID, categorical, trees=5)
        assert result[:3] == pytest.approx((1.0, 1.0, 0.0), abs=1e-6)


def test_modularity_of_a_worked_example():
    information = np.array([[0.4, 0.2, 0.0], [0.0, 0.3, 0.0], [0.001, 0.001, 0.001]])
    assert d.modularity_from_information(information) == pytest.approx((1 - 0.25 / 2 + 1) / 2)  # F - 1 = 2
    assert d.modularity_from_information(information[2:]) == 0.0


def test_irs_of_a_worked_example():
    """z = v + w of two coins: knowing v, z still moves by 1/2 about its mean, of 1 in all."""
    factors = np.indices((2, 2)).reshape(2, -1).T
    matrix, weights = d.robustness_matrix(factors.sum(1, keepdims=True), factors, quantile=1.0)
    np.testing.assert_allclose(matrix, [[0.5, 0.5]])
    np.testing.assert_allclose(weights, [1.0])
    # Noise that no factor explains is averaged over examples with the same factors, as E[z | v] asks.
    repeated = np.repeat(factors, 2, axis=0)
    noisy = repeated + np.tile([[0.3], [-0.3]], (4, 1))
    np.testing.assert_allclose(d.robustness_matrix(noisy, repeated, quantile=1.0)[0], np.eye(2), atol=1e-12)


def test_udr_agrees_with_scipys_rank_correlation_and_the_formula_by_loops():
    rng = np.random.default_rng(6)
    a = rng.normal(size=(200, 3))
    b = np.stack([a[:, 0] ** 3, a[:, 1] + rng.normal(size=200), rng.integers(0, 3, 200)], axis=1)
    table = d.similarity(a, b)
    expected = [[abs(spearmanr(x, y)[0]) for y in b.T] for x in a.T]
    np.testing.assert_allclose(table, expected, atol=1e-12)
    total = sum(max(table[:, j]) ** 2 / sum(table[:, j]) for j in range(3))
    total += sum(max(table[i]) ** 2 / sum(table[i]) for i in range(3))
    assert pair_score(table) == pytest.approx(total / 6)
    assert d.unsupervised_ranking([a, b])[0] == pytest.approx(total / 6)


def test_udr_ranks_models_that_agree_above_one_that_mixes_and_leaves_out_dead_latents():
    models = [CODE, -CODE[:, ::-1], CODE[:, [1, 0, 3, 2]], ROTATED]
    scores = d.unsupervised_ranking(models)
    np.testing.assert_allclose(scores[:3], 1.0, atol=1e-9)
    assert scores[3] < 0.3
    with_noise = [np.concatenate([z, 1e-4 * NOISE[:, :2]], axis=1) for z in models[:2]]
    mask = np.array([True] * 4 + [False] * 2)
    np.testing.assert_allclose(d.unsupervised_ranking(with_noise, [mask, mask]), 1.0, atol=1e-9)
    assert d.unsupervised_ranking(with_noise)[0] < 1.0 + 1e-9
    assert d.unsupervised_ranking(models[:2], [~mask[:4], mask[:4]]).tolist() == [0.0, 0.0]


def test_each_pair_of_a_point_shares_a_value_of_its_own():
    """z = v_0 v_1 with v_0 in 1..5 and v_1 in 0, 1: |z_1 - z_2| has mean 1.5 where v_0 is shared, 0.8 where v_1 is.

    Pairs that shared one value a point would spread those means over 0.5..2.5 and 0, 1.6, which no cut tells apart.
    """
    grid = np.indices((5, 2)).reshape(2, -1).T
    code = ((grid[:, :1] + 1) * grid[:, 1:]).astype(float)
    assert d.beta_vae_score(code, grid, pairs=400, train=200, test=200) == 1.0


def test_collapsed_latents_do_not_vote():
    tiny = np.concatenate([CODE, 1e-6 * (GRID[:, :1] == 4)], axis=1)  # tells of factor 0, too weakly to be meant
    active = np.array([True] * 4 + [False])
    assert d.factor_vae_score(tiny, GRID, active=active, train=200, test=200) == 1.0
    assert d.factor_vae_score(CODE, GRID, active=~active[:4], train=200, test=200) == 0.25


def test_rows_that_share_a_factor_are_drawn_alike():
    index = np.repeat([0, 1, 2], [10, 20, 70])
    rows = rows_sharing(np.random.default_rng(7), index, 3000, 5)
    assert (index[rows] == index[rows[:, :1]]).all()
    for value, share in enumerate((0.1, 0.2, 0.7)):
        sets = index[rows[:, 0]] == value
        assert sets.mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 3000))
    hits = np.bincount(rows[index[rows[:, 0]] == 0].ravel(), minlength=10)[:10]
    assert hits.min() > hits.mean() - 5 * math.sqrt(hits.mean())


def test_all_scores_in_one_call():
    found = d.disentanglement_scores(CODE, GRID, categorical=[0])
    assert set(found) == set(d.SCORES)
    assert found.pop("sap") == pytest.approx((3 + 0.8) / 4)
    assert min(found.values()) > 0.999


ONE = GRID[:, :1]
BAD = {
    "one factor for beta": (lambda: d.beta_vae_score(CODE, ONE), ValueError, ["one column", "at least two"]),
    "one factor for votes": (lambda: d.factor_vae_score(CODE, ONE), ValueError, ["one column", "which of them"]),
    "one factor for modularity": (lambda: d.modularity_score(CODE, ONE), ValueError, ["one factor", "at least two"]),
    "one latent for dci": (lambda: d.dci_score(CODE[:, :1], GRID), ValueError, ["(625, 1)", "2 latents"]),
    "no pairs": (lambda: d.beta_vae_score(CODE, GRID, pairs=0), ValueError, ["pairs is 0", "at least 1"]),
    "votes of one": (lambda: d.factor_vae_score(CODE, GRID, size=1), ValueError, ["size is 1", "at least 2"]),
    "a mask of numbers": (
        lambda: d.factor_vae_score(CODE, GRID, active=np.ones(4)), ValueError, ["active", "4 booleans"],
    ),
    "one bin": (lambda: d.mutual_information_gap(CODE, GRID, bins=1), ValueError, ["bins is 1", "at least 2"]),
    "a quantile": (lambda: d.interventional_robustness(CODE, GRID, quantile=1.5), ValueError, ["quantile is 1.5"]),
    "another method": (lambda: d.dci_score(CODE, GRID, method="boost"), ValueError, ["'boost'", "forest", "lasso"]),
    "lasso with classes": (lambda: d.dci_score(CODE, GRID, [0], method="lasso"), ValueError, ["lasso", "forest"]),
    "a class that is not there": (lambda: d.dci_score(CODE, GRID, [4]), ValueError, ["(4,)", "0 to 3"]),
    "a column that is not there": (
        lambda: d.separated_predictability(CODE, GRID, [-1]), ValueError, ["(-1,)", "0 to 3"],
    ),
    "negative importance": (lambda: d.dci_from_importance(-np.eye(2)), ValueError, ["smallest value -1"]),
    "no entropy": (lambda: d.information_gap(np.eye(2), np.zeros(2)), ValueError, ["entropies", "2 positive"]),
    "a threshold": (
        lambda: d.modularity_from_information(np.eye(2), threshold=0.0), ValueError, ["threshold is 0.0", "above"],
    ),
    "one model": (lambda: d.unsupervised_ranking([CODE]), ValueError, ["fewer than two models", "each seed"]),
    "models of other lengths": (
        lambda: d.unsupervised_ranking([CODE, CODE[:9]]), ValueError, ["9 rows", "625", "same examples"],
    ),
    "a mask too few": (lambda: d.unsupervised_ranking([CODE, CODE], []), ValueError, ["0 masks for 2 models"]),
    "a mask too short": (
        lambda: d.unsupervised_ranking([CODE, CODE], [np.ones(3, bool), np.ones(4, bool)]),
        ValueError,
        ["informative[0]", "4 booleans"],
    ),
    "other variances": (
        lambda: d.posterior_information(jax.random.key(0), CODE, NOISE[:, :2], GRID),
        ValueError,
        ["log_var", "(625, 4)"],
    ),
    "no draws": (
        lambda: d.posterior_information(jax.random.key(0), CODE, CODE, GRID, draws=0), ValueError, ["draws is 0"],
    ),
}  # fmt: skip


@pytest.mark.rows(slow=["no draws"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_words(case):
    call, kind, words = BAD[case]
    with pytest.raises(kind, match=r".") as error:
        call()
    for word in words:
        assert word in str(error.value)
