"""The convolutions that papers on disentanglement share: four of stride 2, for pictures of 64 x 64 pixels.

|              | Burgess et al., 2018              | Locatello et al., 2019                       |
|--------------|-----------------------------------|----------------------------------------------|
| encoder      | 32, 32, 32, 32 channels, all 4 x 4 | 32, 32 of 4 x 4; 64, 64 of 2 x 2            |
| dense layers | 256, 256                          | 256                                          |
| decoder      | the encoder in reverse            | in reverse, all 4 x 4                        |

Pictures of other sides are laid in the middle of the next sides that are multiples of 16, on zeros, and the decoder's
outputs are cut to the picture: 28 x 28 pixels are seen as 32 x 32.
"""

from typing import Any, NamedTuple

from jaxvae.networks.conv import ConvDecoder, ConvEncoder


class Stack(NamedTuple):
    """Convolutions of stride 2 and the dense layers behind them, as `ConvEncoder` takes them.

    Attributes:
        features: channels of each convolution. dense: units of each dense layer.
        kernel_size: of the encoder, of all layers or of each; kernel_size_up: of the decoder.
        pad: whether sides need be no multiples of 2 to the number of layers.
    """

    features: tuple[int, ...]
    dense: tuple[int, ...]
    kernel_size: int | tuple[int, ...] = 3
    kernel_size_up: int = 3
    pad: bool = False

    def down(self) -> dict[str, Any]:
        """The fields of an encoder."""
        return {"features": self.features, "dense": self.dense, "kernel_size": self.kernel_size, "pad": self.pad}

    def up(self) -> dict[str, Any]:
        """The fields of a decoder."""
        return {**self.down(), "kernel_size": self.kernel_size_up}


STACKS = {
    "burgess": Stack((32, 32, 32, 32), (256, 256), 4, 4, pad=True),
    "locatello": Stack((32, 32, 64, 64), (256,), (4, 4, 2, 2), 4, pad=True),
}


def burgess(
    event_shape: tuple[int, ...], latent_dim: int, channels: int = 1, activation: str = "relu"
) -> tuple[ConvEncoder, ConvDecoder]:
    """The encoder and the decoder of beta-VAEs with a capacity: 502,005 parameters for 10 latents of 64 x 64 x 1.

    Args:
        event_shape: (H, W, C) of at least 16 x 16 pixels.
        latent_dim: number of latents.
        channels: outputs for each channel of x, as the observation model asks.

    Raises:
        ValueError: for pictures smaller than that.

    Source: Burgess et al., 2018, arXiv 1804.03599, appendix A.1.

    Example:
        >>> import jax
        >>> encoder, decoder = burgess((28, 28, 1), latent_dim=10)
        >>> mean, log_var = jax.eval_shape(encoder.init_with_output, jax.random.key(0), jax.numpy.zeros((28, 28, 1)))[0]
        >>> mean.shape
        (10,)
    """
    return _pair(STACKS["burgess"], event_shape, latent_dim, channels, activation)


def locatello(
    event_shape: tuple[int, ...], latent_dim: int, channels: int = 1, activation: str = "relu"
) -> tuple[ConvEncoder, ConvDecoder]:
    """Those of disentanglement_lib: 690,517 parameters for 10 latents of 64 x 64 x 1; arguments as `burgess`.

    With 4 x 4 in all layers it is the network of chairs in Higgins et al., 2017 (beta-VAE), table 1, and of Kim and
    Mnih, 2018, arXiv 1802.05983: `ConvEncoder(10, (32, 32, 64, 64), 256, kernel_size=4)`.

    Source: Locatello et al., 2019, arXiv 1811.12359; `conv_encoder`, `deconv_decoder` of disentanglement_lib.

    Example:
        >>> encoder, decoder = locatello((64, 64, 3), latent_dim=10)
        >>> encoder.kernel_size, decoder.kernel_size
        ((4, 4, 2, 2), 4)
    """
    return _pair(STACKS["locatello"], event_shape, latent_dim, channels, activation)


def _pair(
    stack: Stack, shape: tuple[int, ...], latent_dim: int, channels: int, activation: str
) -> tuple[ConvEncoder, ConvDecoder]:
    encoder = ConvEncoder(latent_dim, activation=activation, **stack.down())
    return encoder, ConvDecoder(tuple(shape), channels, activation=activation, **stack.up())
