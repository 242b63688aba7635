"""How many numbers a posterior reads from its encoder: the twin of `Observation.channels`."""

from collections.abc import Callable
from typing import Any, Protocol, cast

from jaxvae.models.records import Conditional, Network


class Posterior(Protocol):
    """A constructor of q(z | x), as `vae(..., posterior=)` takes it.

    Attributes:
        outputs: latent_dim -> how many numbers the encoder must emit in all.
    """

    outputs: Callable[[int], int]

    def __call__(self, encoder: Network, latent_dim: int, **options: Any) -> Conditional: ...


def reads(outputs: Callable[[int], int]) -> Callable[[Callable[..., Conditional]], Posterior]:
    """A decorator that tells how many numbers a constructor of a posterior reads, as its attribute `outputs`.

    Example:
        >>> from jaxvae.models.posteriors.gaussian import gaussian_posterior
        >>> gaussian_posterior.outputs(8)
        16
    """

    def decorate(constructor: Callable[..., Conditional]) -> Posterior:
        vars(constructor)["outputs"] = outputs
        return cast(Posterior, constructor)

    return decorate


def asked_for(encoder: Network, latent_dim: int, outputs: int) -> Network:
    """The encoder for a posterior that reads so many numbers, if it can be asked: if it has `with_outputs`.

    Example:
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> asked_for(MLPEncoder(2), 2, 9).outputs
        9
    """
    ask = getattr(encoder, "with_outputs", None)
    return encoder if ask is None else ask(latent_dim, outputs)
