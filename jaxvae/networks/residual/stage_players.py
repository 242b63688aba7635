"""Players of progressive growing: a network of stages, and among its variables the number that says which is in use."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.networks.residual.progressive import doubled, faded, halved

Array = jax.Array


class Growing(NamedTuple):
    """A player that knows where it is: a network of stages, and the growth among its variables, see `growing`.

    Example:
        >>> from jaxvae.networks.residual.progressive import GrowingCritic
        >>> player, x = Growing(GrowingCritic((4, 8), dense=8)), jnp.zeros((8, 8, 1))
        >>> variables = player.init(jax.random.key(0), x)
        >>> sorted(variables), float(variables["growth"])
        (['growth', 'network'], 0.0)
    """

    network: Any

    def init(self, key: Array, x: Array) -> Any:
        """Variables: {"network": the network's, of all stages, "growth": 0}."""
        return {"network": self.network.init(key, x), "growth": jnp.zeros(())}

    def apply(self, variables: Any, x: Array) -> Any:
        """What the network returns at its growth."""
        return self._at(variables, lambda stage, alpha: self.network.apply(variables["network"], x, stage, alpha))

    def shown(self, variables: Any, x: Array) -> Array:
        """A real picture [H, W, C] as it is shown at that growth: at the resolution of the stage, blended likewise."""

        def show(stage: int, alpha: Array) -> Array:
            further, seen = len(self.network.features) - 1 - stage, x
            for _ in range(further):
                seen = halved(seen)
            return doubled(faded(doubled(halved(seen)), seen, alpha) if stage else seen, further)

        return self._at(variables, show)

    def pixel(self, variables: Any) -> Array:
        """How many pixels of the whole picture one of those in use has, [] >= 1; between two stages it falls evenly in
        its logarithm.

        A square slope by the whole picture is that by the smaller one over this number: four pixels that say the same
        have a quarter of its slope each.
        """
        growth = jax.lax.stop_gradient(variables["growth"])
        return 4.0 ** (len(self.network.features) - 1 - growth)

    def _at(self, variables: Any, make: Callable[[int, Array], Any]) -> Any:
        """make(stage, alpha) of the stage in use alone; the growth is no parameter and has no gradient."""
        growth, stages = jax.lax.stop_gradient(variables["growth"]), len(self.network.features)
        stage = jnp.clip(jnp.ceil(growth), 0, stages - 1)
        branches = [functools.partial(make, index) for index in range(stages)]
        return jax.lax.switch(stage.astype(jnp.int32), branches, growth - stage + 1)


def growing(network: Any) -> Growing:
    """A player of a network of stages, whose growth is a number among its variables, 0 where it starts.

    `jaxvae.training.growing_optimizer` moves that number with the steps, so that a checkpoint has it and whatever draws
    from one draws at its stage. Of all stages that in use alone is computed.

    Args:
        network: `.apply(variables, x, stage, alpha)` with `features`, one for each stage, such as `GrowingDecoder` or
            `GrowingCritic`.

    Raises:
        TypeError: for what has no `init`, `apply` and `features`.

    Source: Karras, Aila, Laine and Lehtinen, 2018, arXiv 1710.10196.

    Example:
        >>> from jaxvae.networks.residual.progressive import GrowingDecoder
        >>> player, z = growing(GrowingDecoder((8, 8, 1), features=(4, 8), dense=8)), jnp.zeros(2)
        >>> variables = player.init(jax.random.key(0), z)
        >>> player.apply(variables | {"growth": jnp.float32(0.5)}, z).shape
        (8, 8, 1)
    """
    if isinstance(network, type) or not all(hasattr(network, name) for name in ("init", "apply", "features")):
        raise TypeError(f"network is {network!r}, expected a network of stages, such as GrowingCritic((16, 32, 64)).")
    return Growing(network)
