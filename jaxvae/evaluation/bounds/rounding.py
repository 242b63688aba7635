"""What float32 loses where a density is computed by an inverse, as a flow's is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.models.records import Conditional, Key, Params

Array = jax.Array


def density_error(
    conditional: Conditional, params: Params, key: Key, *, samples: int = 500, context: Any = None
) -> np.ndarray:
    """|log p(v) from drawing v - log p(v) from v alone| of some draws, in nats: two ways to one number.

    A flow draws by its forward direction, exactly the density of what it drew; the density of a given v takes the
    inverse. That no bound on its scales keeps the inverse from exploding is known of coupling layers: where a layer
    stretches what another one has shifted by much, rounding is stretched too. Where the mean is a tenth of a nat or
    more, do not believe bounds that rest on `log_prob`: train with a smaller learning rate or weight decay, use fewer
    layers or a smaller `limit`, or enable float64.

    Args:
        conditional: any; of a density that is no flow the two ways are one, and the differences 0.
        params: the parameters; the key is consumed.
        samples: how many draws.
        context: one context for all draws, or None.

    Returns:
        [samples] nats, not finite where a density overflows.

    Source: Behrmann, Vicol, Wang, Grosse and Jacobsen, 2021, arXiv 2006.09347.

    Example:
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> float(density_error(standard_normal(2), {}, jax.random.key(0)).max()) < 1e-5
        True
    """

    def one(key: Key) -> Array:
        value, drawn = conditional.sample(params, key, context)
        return jnp.abs(conditional.log_prob(params, value, context) - drawn)

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(key, positive_integer("samples", samples))))
