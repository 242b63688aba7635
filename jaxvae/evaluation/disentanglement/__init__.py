"""How well the latents of a code match the factors that made the data: eight scores, on arrays.

Codes are [N, Z], for a VAE the posterior means; factors are [N, F], such as `Dataset.factors`, sampled independently of
one another: a full grid, or a random part of one. Every score is 1 for one latent a factor and 0 where nothing is told,
except where its docstring says otherwise. Codes that are a rotation of the factors tell all, and score low on purpose.
"""

from jaxvae.evaluation.disentanglement.beta_vae import beta_vae_score
from jaxvae.evaluation.disentanglement.dci import DCI, dci_from_importance, dci_score
from jaxvae.evaluation.disentanglement.factor_vae import factor_vae_score
from jaxvae.evaluation.disentanglement.information import information_matrix, posterior_information
from jaxvae.evaluation.disentanglement.irs import interventional_robustness, robustness_matrix
from jaxvae.evaluation.disentanglement.mig import information_gap, mutual_information_gap, posterior_gap
from jaxvae.evaluation.disentanglement.modularity import modularity_from_information, modularity_score
from jaxvae.evaluation.disentanglement.sap import predictability_matrix, separated_predictability
from jaxvae.evaluation.disentanglement.scores import SCORES, disentanglement_scores
from jaxvae.evaluation.disentanglement.udr import similarity, unsupervised_ranking

__all__ = [
    "DCI",
    "SCORES",
    "beta_vae_score",
    "dci_from_importance",
    "dci_score",
    "disentanglement_scores",
    "factor_vae_score",
    "information_gap",
    "information_matrix",
    "interventional_robustness",
    "modularity_from_information",
    "modularity_score",
    "mutual_information_gap",
    "posterior_gap",
    "posterior_information",
    "predictability_matrix",
    "robustness_matrix",
    "separated_predictability",
    "similarity",
    "unsupervised_ranking",
]
