"""Training in memory, for notebooks and scripts that keep no run folder."""

from collections.abc import Callable
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
from jaxvae.training.parallel import Executor, make_executor
from jaxvae.training.sampler import weighted
from jaxvae.training.state import TrainState, init_state
from jaxvae.training.step import labelled
from jaxvae.training.windows import Windows

Weights = np.ndarray | Callable[[Params], np.ndarray]


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
    weights: Weights | None = None,
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
        labels: [N, ...] the context of each image, for a conditional model: integer labels [N] where it has classes. Of
            another model, for a loss that takes `Labelled` batches, such as `supervised_loss`.
        weights: [N] how often each image is drawn, with replacement, in proportion; or a function of the parameters
            that gives them anew for every epoch, such as `latent_resampler`. None: each image once an epoch.
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
    if model.context is None and labels is not None and loss is None:
        raise ValueError("labels were given, but the model takes none. Make a conditional_vae, or leave them out.")
    data: Any = images
    example: Any = jnp.zeros(model.event_shape)
    preprocess = PROTOCOLS[protocol]
    if model.context is None and labels is not None:
        data, preprocess = Labelled(images, np.asarray(labels)), labelled(preprocess)
    elif model.context is not None:
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
    state, history = run_epochs(executor, state, data, epochs, weights=weights, progress=progress)
    return Fit(jax.device_get(state.params if ema is None else state.ema), history)


def run_epochs(
    executor: Executor,
    state: TrainState,
    data: Any,
    epochs: int,
    *,
    weights: Weights | None = None,
    progress: bool = True,
) -> tuple[TrainState, list[dict[str, Any]]]:
    """Trains for some epochs from a state, wherever it comes from; (state, history), a record an epoch as in `Fit`.

    Args:
        executor: from `make_executor`; one executor may serve many fits, and is compiled once for each size of data.
        state: from `init_state`, or of an earlier call; it stays usable.
        data: raw examples [N, ...], or a tree of such arrays.
        epochs: passes over the data, counted from the state's own step.
        weights: as in `fit`; a function of them is called at the start of every epoch, or where the state stands.
        progress: whether to show a bar.

    Raises:
        ValueError: for empty data, or a batch larger than the data.
        FloatingPointError: after too many steps in a row that were not finite.
    """
    per_epoch = check_data(data, executor.batch_size) // executor.batch_size
    stop = int(state.step) + positive_integer("epochs", epochs) * per_epoch
    log, history = Windows(per_epoch, per_epoch), []
    with progress_bar(stop, per_epoch, executor.batch_size, enabled=progress) as show:
        while (step := int(state.step)) < stop:
            drawn, end = data, stop
            if weights is not None:
                drawn = weighted(data, weights(state.params) if callable(weights) else weights)
                end = min(stop, (step // per_epoch + 1) * per_epoch)
            for report in train(executor, state, drawn, end):
                state = report.state
                show(report, None)
                for at, means in log.add(report.step, report.metrics):
                    history.append({"step": at, "epoch": at // per_epoch, **means})
    return state, history
