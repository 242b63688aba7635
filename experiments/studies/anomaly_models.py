"""What the study of anomalies trains and scores: its options, the model, its training and the scores of images."""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import Workdir
from jaxvae.commands.parts.progress import progress_bar

LABELS = {
    "negative_elbo": "\N{MINUS SIGN}ELBO",
    "negative_iw_bound": "\N{MINUS SIGN}IW bound",
    "reconstruction": "\N{MINUS SIGN}log p(x | z)",
    "kl": "KL",
    "squared_error": "squared error",
    "regret": "likelihood regret",
    "typicality": "typicality",
    "complexity_ratio": "complexity ratio",
    "simplicity": "simplicity (no model)",
}


@dataclass(frozen=True)
class AnomalyOptions:
    """Trains VAEs of grey levels, scores test images of two kinds, and writes tables, curves and pictures."""

    inliers: str = "fashion_mnist"
    """mnist, fashion_mnist, digits, shapes or noise: what the model is trained on; in colour cifar10, cifar10+dog (one
    class), cifar10-dog (all but one) or fashion_in_colour."""
    outliers: str = "mnist"  # The same names: what it is to find.
    both_ways: bool = True  # Also the other way round.
    feedback: bool = True  # Also train on inliers with some outliers among them, find those and feed them back.
    train: int = 10000  # Training images of each kind.
    test: int = 500  # Test images of each kind.
    epochs: int = 6  # Passes over the training images.
    hidden: int = 256  # Width of the hidden layer on either side.
    latent_dim: int = 16  # Length of the code.
    samples: int = 16  # K of the importance-weighted bound.
    regret_steps: int = 50  # Of the search for each test image's own posterior.
    codecs: tuple[str, ...] = ("png",)  # Lossless compressors; of several, the shortest result counts.
    share: float = 0.02  # Outliers among the training images that are to be cleaned.
    margin: float = 1000.0  # Nats between inliers and found outliers, in training.
    seed: int = 0  # Of everything random.
    workdir: Workdir = "runs/anomaly"  # Where the tables and pictures go.
    progress: bool = True  # Show progress bars.


def build(options: AnomalyOptions, images: Any) -> Any:
    """The VAE of grey levels 0..255 for these images."""
    import jaxvae

    shape, hidden = tuple(images.shape[1:]), (options.hidden,)
    observation = jaxvae.discretized_logistic()
    return jaxvae.vae(
        jaxvae.MLPEncoder(options.latent_dim, hidden),
        jaxvae.MLPDecoder(shape, channels=observation.channels, hidden=hidden),
        event_shape=shape,
        latent_dim=options.latent_dim,
        observation=observation,
    )


def trained(options: AnomalyOptions, model: Any, images: Any, exposed: Any = None) -> Any:
    """(params, history) of the model, with found outliers as a second set if there are any."""
    import jaxvae
    from jaxvae.data.protocols import levels
    from jaxvae.training.engine.parallel import batch_of
    from jaxvae.training.losses.outliers import outlier_exposure_loss

    loss = None
    if exposed is not None:
        loss = outlier_exposure_loss(model, exposed, margin=options.margin, preprocess=levels)
    return jaxvae.fit(
        model,
        images,
        protocol="levels",
        loss=loss,
        epochs=options.epochs,
        batch_size=batch_of(100, len(images)),
        seed=options.seed,
        progress=options.progress,
    )


def scores_of(
    options: AnomalyOptions, model: Any, params: Any, images: Any, training: Any, *, what: str | None = None
) -> dict[str, Any]:
    """`anomaly_scores` of raw images; without `what` to say on a bar, the regret is left out."""
    import jax
    import numpy as np

    from jaxvae.evaluation.anomaly.scores import anomaly_scores

    key = jax.random.key((options.seed + 1) % 2**32)
    with progress_bar(what or "scoring", len(images)) as progress:
        return anomaly_scores(
            model,
            params,
            key,
            np.float32(images),
            training=np.float32(training[:1000]),
            samples=options.samples,
            codecs=options.codecs,
            regret_steps=options.regret_steps if what else None,
            progress=progress if options.progress else None,
        )
