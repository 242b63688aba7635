"""One contender of each family: the run that it is, or the density that is fitted in its place. No JAX is imported."""

from dataclasses import replace
from typing import Any, Literal, NamedTuple

from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, ObjectiveConfig, OptimConfig

Fit = Literal["kernels", "mixture", "ppca"]
BOARDS = ("digits", "mnist", "fashion_mnist")


class Contender(NamedTuple):
    """Who takes part.

    Attributes:
        name: of the row and of its folder.
        family: to which it belongs.
        about: what it is, in a few words.
        config: of its run, all but the epochs; None where it is fitted, or a function of the user's own makes it.
        fit: which density is fitted to the pixels with noise between their levels; None where it is a run.
        on_codes: whether a mixture of Gaussians is fitted to the codes after training, to draw from.
        recipe: FILE.py:FUNCTION of a contender of the user's own; "" of any other.
    """

    name: str
    family: str
    about: str
    config: Config | None = None
    fit: Fit | None = None
    on_codes: bool = False
    recipe: str = ""


def contenders_of(data: str) -> dict[str, Contender]:
    """Name -> contender, in the order of the table, for one of `BOARDS`.

    The digits are told apart by their 17 grey levels; MNIST and its like are black and white, drawn anew in training
    and once for all in the test.

    Example:
        >>> list(contenders_of("digits"))[:4], contenders_of("mnist")["vae"].config.data.protocol
        (['kde', 'mixture', 'ppca', 'autoencoder'], 'dynamic')
    """
    small = data == "digits"
    found = [
        Contender("kde", "density", "Gaussian kernels at the training images", fit="kernels"),
        Contender("mixture", "density", "a mixture of Gaussians of the pixels", fit="mixture"),
        Contender("ppca", "PCA", "probabilistic PCA, a Gaussian round but in 20 directions", fit="ppca"),
    ]
    for name, family, about, options in _digits() if small else _black_and_white():
        on_codes = name == "autoencoder"
        found.append(Contender(name, family, about, _config(data, **options), on_codes=on_codes))
    return {one.name: one for one in found}


def data_of(board: str) -> DataConfig:
    """The data of a board, and the whole numbers that all its contenders score."""
    if board == "digits":
        return DataConfig("digits", protocol="levels", levels=17)
    return DataConfig(board, protocol="dynamic")


def _config(data: str, model: ModelConfig, optim: OptimConfig, **options: Any) -> Config:
    """A tenth of the training images chooses the epoch, but for a GAN, which measures nothing to choose by."""
    chosen_by = 0.0 if model.kind == "gan" else 0.1 if data == "digits" else 0.05
    config = Config(data=data_of(data), model=model, optim=optim, validation_fraction=chosen_by)
    return replace(config, **options)


def _falling(lr: float, **options: Any) -> OptimConfig:
    return OptimConfig(lr=lr, schedule="cosine", **options)


def _digits() -> list[tuple[str, str, str, dict[str, Any]]]:
    pixels: dict[str, Any] = {"likelihood": "categorical"}
    coded = {**pixels, "hidden": (256,), "latent_dim": 16}
    steps, iwae = _falling(1e-3), ObjectiveConfig(bound="iwae", samples=8)
    return [
        ("autoencoder", "autoencoder", "an autoencoder of 16 numbers, ten Gaussians on its codes",
         {"model": ModelConfig("autoencoder", **coded), "optim": steps}),
        ("vae", "VAE", "a VAE of 16 latents", {"model": ModelConfig(**coded), "optim": steps}),
        ("iwae", "VAE", "the same, trained by the importance bound of 8 samples",
         {"model": ModelConfig(**coded), "optim": steps, "objective": iwae}),
        ("flow_prior", "VAE", "the same with a RealNVP as its prior",
         {"model": ModelConfig(**coded, prior="real_nvp"), "optim": steps}),
        ("hierarchical", "VAE", "two layers of latents, 16 and 8",
         {"model": ModelConfig("hierarchical", **{**coded, "latent_dim": 8}, first_latents=16), "optim": steps}),
        ("vq", "VQ-VAE", "16 codes of 32, a causal Transformer draws them",
         {"model": ModelConfig("vq_transformer", **coded, codes=32, width=48, pixel_layers=2), "optim": steps}),
        ("flow", "flow", "an autoregressive flow of splines",
         {"model": ModelConfig("spline_flow", flows=2, flow_hidden=(200,)), "optim": steps}),
        ("pixel_cnn", "autoregressive", "a gated PixelCNN",
         {"model": ModelConfig("pixel_cnn", **pixels), "optim": _falling(3e-3)}),
        ("diffusion", "diffusion", "a diffusion by a U-Net, drawn in 100 steps",
         {"model": ModelConfig("diffusion", prediction="levels", noise_start=-9.0, network="conv", features=(12, 24),
                               dense=48, activation="silu"),
          "optim": _falling(4e-3, ema=0.997), "batch_size": 32}),
        ("gan", "GAN", "a GAN of 16 latents, relativistic with gradient penalties",
         {"model": ModelConfig("gan", hidden=(256, 256), latent_dim=16, likelihood="discretized_logistic",
                               critic_hidden=(256, 256)),
          "optim": OptimConfig(lr=5e-4, ema=0.999)}),
    ]  # fmt: skip


def _black_and_white() -> list[tuple[str, str, str, dict[str, Any]]]:
    coded: dict[str, Any] = {"hidden": (400,), "latent_dim": 20}
    steps, iwae = _falling(1e-3), ObjectiveConfig(bound="iwae", samples=5)
    return [
        ("autoencoder", "autoencoder", "an autoencoder of 20 numbers, ten Gaussians on its codes",
         {"model": ModelConfig("autoencoder", **coded), "optim": steps}),
        ("vae", "VAE", "a VAE of 20 latents", {"model": ModelConfig(**coded), "optim": steps}),
        ("iwae", "VAE", "the same, trained by the importance bound of 5 samples",
         {"model": ModelConfig(**coded), "optim": steps, "objective": iwae}),
        ("flow_prior", "VAE", "the same with a RealNVP as its prior",
         {"model": ModelConfig(**coded, prior="real_nvp"), "optim": steps}),
        ("hierarchical", "VAE", "two layers of latents, 100 and 20",
         {"model": ModelConfig("hierarchical", **coded), "optim": steps}),
        ("vq", "VQ-VAE", "32 codes of 64, a causal Transformer draws them",
         {"model": ModelConfig("vq_transformer", hidden=(400,), latent_dim=32, codes=64, width=48, pixel_layers=2),
          "optim": steps}),
        ("flow", "flow", "a masked autoregressive flow of 5 layers",
         {"model": ModelConfig("maf", flows=5, flow_hidden=(512,)), "optim": _falling(1e-3, clip=50.0)}),
        ("made", "autoregressive", "MADE, a masked network of 500 units",
         {"model": ModelConfig("made", hidden=(500,)), "optim": _falling(2e-3)}),
        ("pixel_cnn", "autoregressive", "a gated PixelCNN",
         {"model": ModelConfig("pixel_cnn"), "optim": _falling(3e-3)}),
        ("diffusion", "diffusion", "a diffusion by a network of three layers, drawn in 100 steps",
         {"model": ModelConfig("diffusion", prediction="levels", noise_start=-6.0, hidden=(512, 512, 512),
                               activation="silu"), "optim": _falling(1e-3, ema=0.999)}),
        ("gan", "GAN", "a GAN of 64 latents, relativistic with gradient penalties",
         {"model": ModelConfig("gan", hidden=(400,), latent_dim=64, critic_hidden=(256,)),
          "optim": OptimConfig(lr=2e-3, ema=0.999)}),
    ]  # fmt: skip
