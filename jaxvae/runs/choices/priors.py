"""p(z), by name."""

import functools
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.records import Given, Options, Prior

if TYPE_CHECKING:
    from jaxvae.models.records import Conditional, Network

COMPONENTS, FLOW = ("model.prior_components",), ("model.flows", "model.flow_hidden")


def _standard_normal(config: Options, given: Given, encoder: "Network") -> "Conditional":
    from jaxvae.models.priors.standard import standard_normal

    return standard_normal(config.latent_dim)


def _mixture(config: Options, given: Given, encoder: "Network") -> "Conditional":
    from jaxvae.models.priors.mixture import gaussian_mixture_prior

    return gaussian_mixture_prior(config.prior_components, config.latent_dim)


def _vamp(config: Options, given: Given, encoder: "Network") -> "Conditional":
    from jaxvae.models.priors.vamp import vamp_prior

    posterior, count = POSTERIORS[config.posterior].make(config), config.prior_components
    return vamp_prior(encoder, config.latent_dim, given.event_shape, pseudo_inputs=count, posterior=posterior)


def _real_nvp(config: Options, given: Given, encoder: "Network") -> "Conditional":
    from jaxvae.flows.couplings import real_nvp

    return _flow(real_nvp, config)


def _spline(config: Options, given: Given, encoder: "Network") -> "Conditional":
    from jaxvae.flows.couplings import neural_spline

    return _flow(neural_spline, config)


def _flow(make: Any, config: Options) -> "Conditional":
    from jaxvae.models.priors.flow import flow_prior
    from jaxvae.networks.conditioner import ConditionerMLP

    network = functools.partial(ConditionerMLP, hidden=config.flow_hidden)
    return flow_prior(make(config.latent_dim, network, config.flows), config.latent_dim)


PRIORS: dict[str, Prior] = {
    "standard_normal": Prior(_standard_normal),
    "mixture": Prior(_mixture, COMPONENTS),
    "vamp": Prior(_vamp, COMPONENTS),
    "real_nvp": Prior(_real_nvp, FLOW, inverted=True),
    "spline": Prior(_spline, FLOW, inverted=True),
}
