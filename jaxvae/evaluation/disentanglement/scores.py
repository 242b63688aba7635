"""All the scores that need one model's codes and the factors, in one call."""

from collections.abc import Sequence

import numpy as np

from jaxvae.evaluation.disentanglement.beta_vae import beta_vae_score
from jaxvae.evaluation.disentanglement.dci import dci_score
from jaxvae.evaluation.disentanglement.factor_vae import factor_vae_score
from jaxvae.evaluation.disentanglement.information import information_matrix
from jaxvae.evaluation.disentanglement.irs import interventional_robustness
from jaxvae.evaluation.disentanglement.mig import mutual_information_gap
from jaxvae.evaluation.disentanglement.modularity import modularity_from_information
from jaxvae.evaluation.disentanglement.sap import separated_predictability

Array = np.ndarray

# name -> the words a table shows; all go up.
SCORES = {
    "beta_vae": "beta-VAE score",
    "factor_vae": "FactorVAE score",
    "mig": "MIG",
    "sap": "SAP",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "DCI completeness",
    "modularity": "modularity",
    "irs": "IRS",
}


def disentanglement_scores(
    codes: Array, factors: Array, *, categorical: Sequence[int] = (), active: Array | None = None, seed: int = 0
) -> dict[str, float]:
    """Every score of `SCORES` at its defaults; higher is better.

    Args:
        codes: [N, Z], such as posterior means; Z at least 2.
        factors: [N, F], F at least 2.
        categorical: the columns of factors that are classes, whose numbers mean nothing.
        active: [Z] booleans, which latents may vote in the FactorVAE score, see `active_latents`.
        seed: of all draws.

    Raises:
        ValueError, TypeError: as the scores.

    Example:
        >>> factors = np.tile(np.indices((3, 3)).reshape(2, 9).T, (4, 1))
        >>> min(disentanglement_scores(factors, factors).values()) > 0.999
        True
    """
    result = dci_score(codes, factors, categorical, seed=seed)
    return {
        "beta_vae": beta_vae_score(codes, factors, seed=seed),
        "factor_vae": factor_vae_score(codes, factors, active=active, seed=seed),
        "mig": mutual_information_gap(codes, factors),
        "sap": separated_predictability(codes, factors, categorical),
        "dci_disentanglement": result.disentanglement,
        "dci_completeness": result.completeness,
        "modularity": modularity_from_information(information_matrix(codes, factors)),
        "irs": interventional_robustness(codes, factors),
    }
