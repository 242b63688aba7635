"""Bijections as records of pure functions, composed by `chain`."""

from jaxvae.flows.amortized import amortized
from jaxvae.flows.autoregressive import autoregressive_flow, inverse_autoregressive, masked_autoregressive
from jaxvae.flows.coupling import affine_coupling, coupling, coupling_flow, neural_spline, real_nvp, spline_coupling
from jaxvae.flows.elementary import affine, linear_map, permutation, reverse_order, smooth_map
from jaxvae.flows.planar import planar
from jaxvae.flows.radial import radial
from jaxvae.flows.records import Bijection, chain, invert
from jaxvae.flows.spline import spline_transform
from jaxvae.flows.transforms import Transform, affine_transform

__all__ = [
    "Bijection",
    "Transform",
    "affine",
    "affine_coupling",
    "affine_transform",
    "amortized",
    "autoregressive_flow",
    "chain",
    "coupling",
    "coupling_flow",
    "inverse_autoregressive",
    "invert",
    "linear_map",
    "masked_autoregressive",
    "neural_spline",
    "permutation",
    "planar",
    "radial",
    "real_nvp",
    "reverse_order",
    "smooth_map",
    "spline_coupling",
    "spline_transform",
]
