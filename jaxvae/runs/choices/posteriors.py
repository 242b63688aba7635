"""q(z | x), by name."""

import functools
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.records import Options, Posterior

if TYPE_CHECKING:
    from jaxvae.runs.choices.records import MakePosterior

CONTEXT = 32  # numbers an encoder emits beside mean and log-variance for a flow to be conditioned on
FLOW = ("model.flows", "model.flow_hidden")
NOT_DIAGONAL = ("sampler.kind",)  # rarity is read off diagonal Gaussians


def _diagonal(config: Options) -> "MakePosterior":
    from jaxvae.models.posteriors.gaussian import gaussian_posterior

    return gaussian_posterior


def _low_rank(config: Options) -> "MakePosterior":
    from jaxvae.models.posteriors.low_rank import low_rank_posterior

    return low_rank_posterior(config.rank)


def _full(config: Options) -> "MakePosterior":
    from jaxvae.models.posteriors.full_covariance import full_covariance_posterior

    return full_covariance_posterior


def _planar(config: Options) -> "MakePosterior":
    from jaxvae.flows.planar_flow import planar

    return _amortized(planar, config)


def _radial(config: Options) -> "MakePosterior":
    from jaxvae.flows.radial_flow import radial

    return _amortized(radial, config)


def _iaf(config: Options) -> "MakePosterior":
    from jaxvae.flows.autoregressive import autoregressive_flow, inverse_autoregressive
    from jaxvae.models.posteriors.flow import flow_posterior
    from jaxvae.networks.made import MADE

    masked = functools.partial(MADE, config.latent_dim, hidden=config.flow_hidden)
    flow = autoregressive_flow(inverse_autoregressive, config.latent_dim, masked, layers=config.flows)
    return flow_posterior(flow, CONTEXT)


def _coupling(config: Options) -> "MakePosterior":
    from jaxvae.flows.couplings import real_nvp
    from jaxvae.models.posteriors.flow import flow_posterior
    from jaxvae.networks.conditioner import ConditionerMLP

    network = functools.partial(ConditionerMLP, hidden=config.flow_hidden)
    return flow_posterior(real_nvp(config.latent_dim, network, config.flows), CONTEXT)


def _amortized(layer: Any, config: Options) -> "MakePosterior":
    """A chain of layers whose parameters are linear in what the encoder emits."""
    from jaxvae.flows.amortization import amortized
    from jaxvae.flows.records import chain
    from jaxvae.models.posteriors.flow import flow_posterior
    from jaxvae.networks.conditioner import ConditionerMLP

    linear = functools.partial(ConditionerMLP, hidden=())
    layers = (amortized(layer(config.latent_dim), linear) for _ in range(config.flows))
    return flow_posterior(chain(*layers), CONTEXT)


POSTERIORS: dict[str, Posterior] = {
    "diagonal": Posterior(_diagonal, diagonal=True),
    "low_rank": Posterior(_low_rank, ("model.rank",), NOT_DIAGONAL),
    # 12 million numbers for each image
    "full": Posterior(_full, ignores=NOT_DIAGONAL, most=(5000, "whose encoder emits Z (Z + 3) / 2 numbers")),
    "planar": Posterior(_planar, ("model.flows",), NOT_DIAGONAL),
    "radial": Posterior(_radial, ("model.flows",), NOT_DIAGONAL),
    "iaf": Posterior(_iaf, FLOW, NOT_DIAGONAL),
    "coupling": Posterior(_coupling, FLOW, NOT_DIAGONAL),
}
