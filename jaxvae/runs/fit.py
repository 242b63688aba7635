"""Training in memory, for notebooks and scripts that keep no run folder."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvae.data.protocols import PROTOCOLS
from jaxvae.math.checks import finite_number, positive_integer
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Model, Params
from jaxvae.runs.names import unknown
from jaxvae.runs.progress import progress_bar
from jaxvae.training.loop import check_data, train
from jaxvae.training.losses import Loss, bound_loss
from jaxvae.training.optimizers import make_optimizer
from jaxvae.training.parallel import make_executor
from jaxvae.training.state import init_state
from jaxvae.training.step import labelled
from jaxvae.training.windows import Windows


class Fit(NamedTuple):
    """What `fit` returns.

    Attributes:
        params: the trained parameters (their moving average, if one was asked for).
        history: one record an epoch, in nats per example: {"step", "epoch", "elbo", "log_likelihood", "kl", ...}, as
            `jaxvae.evaluation.plots.loss_curves` draws them.
    """

    params: Params
    history: list[dict[str, Any]]


def fit(
    model: Model,
    images: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    protocol: str = "dynamic",
    loss: Loss | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 20,
    batch_size: int = 128,
    seed: int = 0,
    ema: float | None = None,
    progress: bool = True,
) -> Fit:
    """Trains a model on images with a progress bar and returns its parameters and history.

    Args:
        model: such as `vae(...)`.
        images: uint8 [N, H, W, C].
        labels: [N, ...] the context of each image, for a conditional model: integer labels [N] where it has classes.
        protocol: how raw pixels become x: "grey", "threshold", "dynamic", "levels" or "dequantize".
        loss: (params, keys, batch, step) -> (scalar, metrics), by default minus the ELBO.
        optimizer: an Optax transformation, by default Adam at 1e-3.
        epochs: passes over the images.
        batch_size: images per step.
        seed: of everything random, 0 to 4294967295.
        ema: decay of a moving average of the parameters, or None.
        progress: whether to show a bar.

    Raises:
        ValueError: for empty data, a batch larger than the data, an unknown protocol, or images of another shape;
            for labels that are missing, of another length or out of range, or that the model does not take.
        TypeError: for images that are not uint8.

    Example:
        >>> import jaxvae
        >>> images = jaxvae.data.load("digits").images
        >>> model = jaxvae.vae(
        ...     jaxvae.MLPEncoder(2, (32,)),
        ...     jaxvae.MLPDecoder((8, 8, 1), hidden=(32,)),
        ...     event_shape=(8, 8, 1),
        ...     latent_dim=2,
        ... )
        >>> params, history = fit(model, images, epochs=2, progress=False)
        >>> history[-1]["elbo"] > history[0]["elbo"]
        True
    """
    epochs, seed = positive_integer("epochs", epochs), positive_integer("seed", seed, 0)
    finite_number("seed", seed, high=2**32 - 1)  # a larger one would draw what a smaller one does
    if protocol not in PROTOCOLS:
        raise ValueError(unknown("protocol", protocol, PROTOCOLS))
    if images.dtype != np.uint8:
        raise TypeError(f"images have dtype {images.dtype}, expected uint8. Use jaxvae.data.from_array(images).images.")
    if images.shape[1:] != model.event_shape:
        raise ValueError(f"images have shape {images.shape}, expected (N, {', '.join(map(str, model.event_shape))}).")
    if model.context is None and labels is not None:
        raise ValueError("labels were given, but the model takes none. Make a conditional_vae, or leave them out.")
    data: Any = images
    example: Any = jnp.zeros(model.event_shape)
    preprocess = PROTOCOLS[protocol]
    if model.context is not None:
        if labels is None:
            raise ValueError("labels are missing, but the model is conditional. Pass labels=, one for each image.")
        model.context.check(labels, "labels")
        data, preprocess = Labelled(images, np.asarray(labels)), labelled(preprocess)
        example = Labelled(example, model.context.example())
    per_epoch = check_data(data, batch_size) // batch_size
    optimizer = make_optimizer() if optimizer is None else optimizer
    loss = bound_loss(model) if loss is None else loss
    executor = make_executor(loss, optimizer, preprocess, batch_size=batch_size, capacity=min(per_epoch, 2000), ema=ema)
    state = init_state(model, optimizer, jax.random.key(seed), example, ema=ema is not None)
    log, history = Windows(per_epoch, per_epoch), []
    with progress_bar(epochs * per_epoch, per_epoch, batch_size, enabled=progress) as show:
        for report in train(executor, state, data, epochs * per_epoch):
            state = report.state
            show(report, None)
            for step, means in log.add(report.step, report.metrics):
                history.append({"step": step, "epoch": step // per_epoch, **means})
    return Fit(jax.device_get(state.params if ema is None else state.ema), history)
