"""FactorVAE score: a majority vote of the latent that varies least where one factor is held fixed."""

import numpy as np

from jaxvae.checks import as_seed, positive_integer
from jaxvae.evaluation.disentanglement.tables import check_tables, rows_sharing

Array = np.ndarray


def factor_vae_score(
    codes: Array,
    factors: Array,
    *,
    active: Array | None = None,
    size: int = 100,
    train: int = 1000,
    test: int = 1000,
    seed: int = 0,
) -> float:
    r"""Accuracy of a majority vote: latent d* = argmin_d Var(z_d) / s_d^2 where factor k is fixed, and d* stands for k.

    s_d^2 is the variance over all examples. A perfect code scores 1, noise 1/F. Latents that are the same for every
    example are left out; the paper leaves out all that have collapsed to the prior, which codes alone cannot tell:
    pass `active=active_latents(means)`. Scale, sign and order of the latents do not count.

    Args:
        codes: [N, Z].
        factors: [N, F], F at least 2.
        active: [Z] booleans, which latents may vote; by default all that vary.
        size: L, examples that share the fixed factor, for each vote.
        train, test: votes that make the table, and votes to measure it on; the same for both would flatter noise.
        seed: of the draws.

    Returns:
        The accuracy; 1/F where no latent may vote.

    Raises:
        ValueError, TypeError: for impossible tables, see `check_tables`, a single factor, `active` of another shape,
            size below 2 or counts below 1.

    Source: Kim and Mnih, 2018, arXiv 1802.05983.

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, 16).T
        >>> factor_vae_score(-3.0 * factors[:, ::-1], factors, train=100, test=100)
        1.0
    """
    tables = check_tables(codes, factors)
    count = len(tables.counts)
    if count < 2:
        raise ValueError("factors has one column, expected at least two: the vote is on which of them is fixed.")
    size, train, test = (
        positive_integer("size", size, 2),
        positive_integer("train", train),
        positive_integer("test", test),
    )
    used = tables.varies.copy()
    if active is not None:
        if np.shape(active) != used.shape or np.asarray(active).dtype != np.bool_:
            raise ValueError(
                f"active has shape {np.shape(active)}, expected {len(used)} booleans, one for each latent."
            )
        used &= np.asarray(active)
    if not used.any():
        return 1.0 / count
    z = tables.codes[:, used] / tables.codes[:, used].std(0)
    rng = np.random.default_rng(as_seed("seed", seed))
    votes = []
    for total in (train, test):
        table = np.zeros((z.shape[1], count), np.int64)
        for factor, share in enumerate(np.bincount(rng.permutation(np.arange(total) % count), minlength=count)):
            rows = rows_sharing(rng, tables.levels[:, factor], int(share), size)
            winners = z[rows].var(axis=1).argmin(1)
            table[:, factor] = np.bincount(winners, minlength=z.shape[1])
        votes.append(table)
    said = votes[0].argmax(1)
    return float(votes[1][np.arange(len(said)), said].sum() / test)
