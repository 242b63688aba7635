"""Kinds of model that push a simple density through a bijection, by name: densities of tables and of pictures."""

import functools
from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.densities import IGNORED
from jaxvae.runs.choices.records import Given, Kind, Options, Protocol

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

STARTED = 500  # examples that parameters start from
MARGIN = 1e-6  # of the logits of pixels
# A density of its own: no likelihood, no code.
OWN = (*IGNORED, "model.likelihood", "model.scale", "model.std", "model.hidden", "model.activation")
PIXELS: tuple[Protocol, ...] = ("dequantize", "levels", "dynamic", "threshold")
WHOLE: tuple[Protocol, ...] = ("levels", "dynamic", "threshold")  # x of them are whole numbers, with noise between
REAL: tuple[Protocol, ...] = (*PIXELS, "standardize")


def _of_vectors(make: Any, config: Options, given: Given, observation: "Observation") -> "Model":
    """The elements in one row: columns as they are, pixels by their logits."""
    import math

    from jaxvae.flows.autoregressive import autoregressive_flow, masked_autoregressive
    from jaxvae.flows.events import from_logits, unflatten
    from jaxvae.flows.records import chain
    from jaxvae.networks.causal import causal_transformer
    from jaxvae.networks.made import MADE

    size, of_pixels = math.prod(given.event_shape), len(given.event_shape) > 1
    network: Any = functools.partial(MADE, size, hidden=config.flow_hidden)
    if config.kind == "attention_flow":
        network = functools.partial(
            causal_transformer,
            (size,),
            width=config.width,
            layers=config.pixel_layers,
            heads=config.heads,
            patch=config.patch**2 * given.event_shape[2] if of_pixels else config.patch,
            zero_start=True,
        )
    transform, between = make(size, of_pixels)
    flow = autoregressive_flow(masked_autoregressive, size, network, transform, config.flows, between=between)
    if not of_pixels:
        return _density(flow, config, given)
    in_shape = unflatten(given.event_shape, config.patch)
    return _density(chain(flow, in_shape, from_logits(MARGIN)), config, given)


def _glow(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.flows.events import from_logits
    from jaxvae.flows.images import glow
    from jaxvae.flows.records import chain
    from jaxvae.networks.conditioner import ConditionerConv

    network = functools.partial(ConditionerConv, features=config.pixel_features)
    flow = glow(given.event_shape, network, scales=config.scales, steps=config.flows)
    return _density(chain(flow, from_logits(MARGIN)), config, given)


def _density(bijection: Any, config: Options, given: Given) -> "Model":
    """The density of dequantised pixels or of rows; of whole levels a bound, with the noise as its latent."""
    import math

    import jax
    import numpy as np

    from jaxvae.data.protocols import dequantize
    from jaxvae.data.splits import some_rows
    from jaxvae.models.densities.discrete_levels import dequantized
    from jaxvae.models.densities.flow import flow_model
    from jaxvae.models.posteriors.gaussian import gaussian_posterior
    from jaxvae.networks.conditioner import NoiseEncoder

    data, levels = given.raw, given.levels if given.protocol in ("dequantize", "levels") else 2
    if data is not None:
        data = data[some_rows(len(data), min(STARTED, len(data)))]
        if data.dtype == np.uint8:
            data = dequantize(jax.random.key(0), data, levels)
    model = flow_model(bijection, event_shape=given.event_shape, data=data)
    if given.protocol not in WHOLE:
        return model
    noise = None
    if config.dequantization == "variational":
        encoder = NoiseEncoder(config.pixel_features)
        noise = gaussian_posterior(encoder, math.prod(given.event_shape), name="noise")
    return dequantized(model.likelihood, levels, event_shape=given.event_shape, noise=noise)


def _affine(size: int, of_pixels: bool) -> tuple[Any, Any]:
    return None, None


def _splines(size: int, of_pixels: bool) -> tuple[Any, Any]:
    """Columns of a table like to be mixed between the layers; pixels, many of them of one value, do not."""
    from jaxvae.flows.lu import lu_linear
    from jaxvae.flows.spline import spline_transform

    return spline_transform(), None if of_pixels else lambda index: lu_linear(size, seed=index)


NOISE = "model.dequantization"
VECTORS = ("model.flows", "model.flow_hidden", NOISE)

FLOWS: dict[str, Kind] = {
    "maf": Kind(
        "A masked autoregressive flow (MAF)",
        functools.partial(_of_vectors, _affine),
        VECTORS,
        OWN,
        protocols=REAL,
    ),
    "attention_flow": Kind(
        "A flow of causal Transformers",
        functools.partial(_of_vectors, _affine),
        ("model.flows", "model.width", "model.heads", "model.pixel_layers", "model.patch", NOISE),
        OWN,
        protocols=REAL,
    ),
    "spline_flow": Kind(
        "An autoregressive flow of splines",
        functools.partial(_of_vectors, _splines),
        VECTORS,
        OWN,
        protocols=REAL,
    ),
    "glow": Kind(
        "A flow of pictures at several scales (Glow)",
        _glow,
        ("model.flows", "model.scales", "model.pixel_features", NOISE),
        OWN,
        protocols=PIXELS,
        pictures=True,
    ),
}
