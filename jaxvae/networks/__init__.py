"""Flax Linen encoders and decoders, for one example."""

from jaxvae.networks.conv import ConvDecoder, ConvEncoder
from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
from jaxvae.networks.nnx import from_nnx

__all__ = ["ConvDecoder", "ConvEncoder", "MLPDecoder", "MLPEncoder", "from_nnx"]
