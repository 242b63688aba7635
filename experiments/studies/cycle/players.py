"""The players of a CycleGAN: translators that start near the identity, and their critics."""

import math
from typing import Any, NamedTuple


class Near(NamedTuple):
    """A translator that starts near the identity: the sum of its parts + 6 (x - 1/2), of which a sigmoid is taken.

    What moves pixels about is a linear map, which a hidden layer would have to learn anew for every one of them; what
    paints them needs to know no more of a pixel than what it adds to it.

    Example:
        >>> import jax, jaxvae
        >>> deep, linear = (
        ...     jaxvae.networks.Reshaped(jaxvae.networks.MLPDeterministicEncoder(4, hidden), (2, 2, 1))
        ...     for hidden in ((8,), ())
        ... )
        >>> near, x = Near({"deep": deep, "linear": linear}), jax.numpy.ones((2, 2, 1))
        >>> near.apply(near.init(jax.random.key(0), x), x).shape
        (2, 2, 1)
    """

    parts: dict[str, Any]

    def init(self, key: Any, x: Any) -> Any:
        """(key, x) -> the variables of all parts."""
        import jax

        keys = jax.random.split(key, len(self.parts))
        return {name: part.init(one, x) for one, (name, part) in zip(keys, self.parts.items(), strict=True)}

    def apply(self, variables: Any, x: Any) -> Any:
        """(variables, x) -> outputs of the shape of x."""
        return sum(part.apply(variables[name], x) for name, part in self.parts.items()) + 6.0 * (x - 0.5)


class Through(NamedTuple):
    """A picture through a code: decoder(encoder(x)).

    Example:
        >>> import jax, jaxvae
        >>> encoder, decoder = jaxvae.networks.MLPDeterministicEncoder(3), jaxvae.MLPDecoder((2, 2, 1))
        >>> network, x = Through(encoder, decoder), jax.numpy.ones((2, 2, 1))
        >>> network.apply(network.init(jax.random.key(0), x), x).shape
        (2, 2, 1)
    """

    encoder: Any
    decoder: Any

    def init(self, key: Any, x: Any) -> Any:
        """(key, x) -> the variables of both."""
        import jax

        key_encoder, key_decoder = jax.random.split(key)
        encoder = self.encoder.init(key_encoder, x)
        return {"encoder": encoder, "decoder": self.decoder.init(key_decoder, self.encoder.apply(encoder, x))}

    def apply(self, variables: Any, x: Any) -> Any:
        """(variables, x) -> the decoder's outputs."""
        return self.decoder.apply(variables["decoder"], self.encoder.apply(variables["encoder"], x))


def made(options: Any, shape: tuple[int, ...]) -> Any:
    """The players for pictures of that shape: of dense layers, or of convolutions whose translator paints by a code."""
    import jaxvae
    from jaxvae.networks import ConvCritic, ConvDecoder, ConvDeterministicEncoder, MLPCritic, Reshaped

    translator: Any
    critic: Any
    if options.network == "conv":
        sizes: Any = {"features": options.features, "dense": options.hidden}
        encoder = ConvDeterministicEncoder(options.codes, activation="silu", **sizes)
        translator = Near({"deep": Through(encoder, ConvDecoder(shape, activation="silu", **sizes))})
        critic = ConvCritic(**sizes)
    else:

        def network(hidden: tuple[int, ...]) -> Any:
            return Reshaped(jaxvae.networks.MLPDeterministicEncoder(math.prod(shape), hidden), shape)

        translator = Near({"deep": network((options.hidden,)), "linear": network(())})
        critic = MLPCritic((options.hidden,))
    return jaxvae.models.players.cycle_gan(translator, translator, critics=(critic, critic), event_shape=shape)
