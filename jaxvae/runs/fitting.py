"""Training in memory, for notebooks and scripts that keep no run folder."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxvae.checks import as_seed, one_process, positive_integer, shown
from jaxvae.models.records import Model, Params
from jaxvae.runs.builders.residence import Resident, residence
from jaxvae.runs.compiled import Request, programs
from jaxvae.runs.examples import as_examples, as_numbers
from jaxvae.runs.measure import collapse_warner
from jaxvae.runs.progress import progress_bar
from jaxvae.runs.selection import Selection, host_copy, kept_params
from jaxvae.runs.tracking.trackers import Trackers, as_trackers
from jaxvae.runs.validation import choose_by
from jaxvae.training.engine.hyper import Hyper, as_hyper, is_optimizer
from jaxvae.training.engine.loop import check_data, train
from jaxvae.training.engine.optimizers import as_optimizer
from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.sampler import Reweighted, weighted
from jaxvae.training.engine.state import TrainState, averaged_params
from jaxvae.training.engine.windows import Windows
from jaxvae.training.losses.bound import Loss, as_loss

Weights = np.ndarray | Callable[[Params], np.ndarray]
Look = Callable[[Params, Mapping[str, Any]], None]
Callback = Callable[[Params, dict[str, Any]], bool | None]


class Fit(NamedTuple):
    """What `fit` returns.

    Attributes:
        params: the trained parameters; their moving average, if one was asked for, not the last ones.
        history: one record an epoch, in nats per example: {"step", "epoch", "elbo", "log_likelihood", "kl", ...}, as
            `jaxvae.evaluation.plots.loss_curves` draws them.
    """

    params: Params
    history: list[dict[str, Any]]


def fit(
    model: Model,
    images: Any,
    *,
    labels: np.ndarray | None = None,
    weights: Weights | None = None,
    protocol: str | None = None,
    loss: Loss | Callable[[Hyper], Loss] | None = None,
    optimizer: optax.GradientTransformation | Callable[[Hyper], optax.GradientTransformation] | None = None,
    hyper: Hyper | None = None,
    epochs: int = 20,
    batch_size: int = 128,
    seed: int = 0,
    ema: float | None = None,
    validation: Any = None,
    patience: int | None = None,
    trackers: Sequence[Any] = (),
    callback: Callback | None = None,
    resident: Resident = "auto",
    progress: bool = True,
) -> Fit:
    """Trains a model on images, or on any numbers, with a progress bar; returns its parameters and history.

    A second call with the same model, loss, optimizer and sizes, such as one with another seed, more epochs or other
    data of that shape, or with other numbers in `hyper`, compiles nothing anew: as under `jax.jit`, a loss must not
    read what changes outside it. Latents that collapse are said to, once, by a `CollapseWarning`.

    Args:
        model: such as `vae(...)`.
        images: [N, *event_shape], for images [N, H, W, C]; the last axis may be left out where the model has 1 there.
            uint8 are pixels, which the protocol makes x of; where they are no grey images, it must be named. All others
            (floats, counts as integers, booleans) are x in the units of the likelihood and go in as they are.
        labels: [N, ...] the context of each image, for a conditional model: integer labels [N] where it has classes. Of
            another model, for a loss that takes `Labelled` batches, such as `supervised_loss`.
        weights: [N] how often each image is drawn, with replacement, in proportion; or a function of the parameters
            that gives them anew for every epoch, such as `latent_resampler`. None: each image once an epoch.
        protocol: how uint8 pixels become x: "grey", "threshold", "dynamic" (the default), "levels" or "dequantize".
        loss: (params, keys, batch, step) -> (scalar, metrics), by default minus the ELBO.
        optimizer: an Optax transformation, by default Adam at 1e-3.
        hyper: numbers such as {"beta": 2.0}, of which loss and optimizer are then functions: `loss=lambda hyper:
            bound_loss(model, beta=hyper["beta"])`, defined once, outside the search. One program serves all values.
        epochs: passes over the images.
        batch_size: images per step.
        seed: of everything random, 0 to 4294967295.
        ema: decay of a moving average of the parameters, which is then what is returned; None keeps no average.
        validation: what chooses the epoch whose parameters are returned, by its bound: the part of the images that is
            set apart for it, drawn by the seed, such as 0.1; or images of their own, or (images, labels). The records
            then say "validation", nats per example, and "best_epoch". None: the last epoch is returned.
        patience: stop after so many epochs without a better bound; None trains to the end.
        trackers: what is given the record of every epoch while it trains: functions, such as `print`, or objects with
            `write`, such as `jaxvae.runs.TensorBoard(folder)`.
        callback: (params, record), called at the end of every epoch with copies that may be kept: the parameters as
            they would be returned now (their moving average, if there is one) and the epoch's record. Where it returns
            True the training is over; None or False goes on. What it raises, `fit` raises.
        resident: whether the images lie on the device: "always"; "never", which leaves them in their mapped file, or
            where they are, and reads them while the device works, to the same numbers; or "auto", by size.
        progress: whether to show a bar.

    Raises:
        ValueError: for empty data, a batch larger than the data, an unknown protocol, images of another shape, or
            values that the likelihood cannot score; for labels that are missing, of another length or out of range, or
            that the model does not take.
        TypeError: for what is no array of numbers, no model, no loss, no optimizer or no function; for numbers other
            than uint8 with a protocol, integers where the likelihood takes floats, and a callback's other answers.
        NotImplementedError: in a job of several processes, each of which would train apart.

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

        Parameters of every epoch, until the bound is good enough:

        >>> seen = []
        >>> def look(params, record):
        ...     seen.append(params)
        ...     return record["elbo"] > -45
        >>> params, history = fit(model, images, epochs=20, callback=look, progress=False)
        >>> len(seen) == len(history) < 20
        True
    """
    one_process("training")
    epochs, seed = positive_integer("epochs", epochs), as_seed("seed", seed)
    numbers, followed = as_hyper(hyper), as_trackers(trackers, warnings.warn, named=False)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {shown(callback)}, expected a function of (params, record).")
    if numbers is None:
        loss = None if loss is None else as_loss(loss)
        optimizer = None if optimizer is None else as_optimizer(optimizer)
    elif loss is None and (optimizer is None or is_optimizer(optimizer)):
        raise ValueError(f"hyper is {hyper!r}, but neither loss nor optimizer is a function that would read it.")
    weights = weights if weights is None or callable(weights) else as_numbers("weights", weights, "one of each image")
    examples = as_examples(model, images, labels, protocol, unconditional=loss is not None)
    preprocess, example = examples.preprocess, examples.example
    data, weights, selection = choose_by(model, examples, weights, validation, patience, protocol, seed)
    per_epoch = check_data(data, positive_integer("batch_size", batch_size)) // batch_size
    sizes = batch_size, min(per_epoch, 2000)
    init, compiled = programs(
        Request(model, loss, optimizer, preprocess, labels is not None, *sizes, ema, numbers is not None)
    )
    look = collapse_warner(model, data, preprocess, warmup_steps=10 * per_epoch)
    state = init(jax.random.key(seed), example, numbers)
    if selection is not None:
        selection.measure(averaged_params(state))  # what cannot be measured is refused before it is trained
    try:
        state, history = run_epochs(
            compiled,
            state,
            data,
            epochs,
            weights=weights,
            progress=progress,
            look=look,
            hyper=numbers,
            selection=selection,
            trackers=followed,
            callback=callback,
            resident=residence(resident, data, compiled.devices).resident,
        )
    finally:
        followed.close()
    return Fit(kept_params(selection, state), history)


def run_epochs(
    compiled: CompiledSteps,
    state: TrainState,
    data: Any,
    epochs: int,
    *,
    weights: Weights | None = None,
    progress: bool = True,
    look: Look | None = None,
    hyper: Hyper | None = None,
    selection: Selection | None = None,
    trackers: Trackers | None = None,
    callback: Callback | None = None,
    resident: bool = True,
) -> tuple[TrainState, list[dict[str, Any]]]:
    """Trains for some epochs from a state, wherever it comes from; (state, history), a record an epoch as in `Fit`.

    Args:
        compiled, resident: as `train` takes them; the steps may serve many fits, each size of data compiles anew.
        state, data: from `init_state`, or of an earlier call, which stays usable; raw examples [N, ...], or a tree.
        epochs: passes over the data, counted from the state's own step.
        weights: as in `fit`; a function is called at the start of every epoch, and `effective_examples` are recorded.
        progress: whether to show a bar.
        hyper: the numbers, where the steps were compiled for some.
        selection: what measures every epoch on validation examples, and may end the training before its last one.
        trackers: are given every record.
        callback: as in `fit`.
        look: is called with the parameters (their moving average, if there is one) and the record of every epoch.

    Raises:
        ValueError: for empty data, or a batch larger than the data.
        FloatingPointError: after too many steps in a row that were not finite.
    """
    per_epoch = check_data(data, compiled.batch_size) // compiled.batch_size
    stop = int(state.step) + positive_integer("epochs", epochs) * per_epoch
    log, history, over = Windows(per_epoch, per_epoch), [], False
    if weights is not None:
        data = Reweighted(data, weights) if callable(weights) else weighted(data, weights)
    with progress_bar(stop, per_epoch, compiled.batch_size, enabled=progress) as show:
        for report in train(compiled, state, data, stop, hyper=hyper, resident=resident):
            state = report.state
            show(report, None)
            for at, means in log.add(report.step, report.metrics):
                history.append({"step": at, "epoch": at // per_epoch, **means})
                if selection is not None:
                    history[-1] |= selection.record(averaged_params(state), at // per_epoch, at)
                if look is not None:
                    look(averaged_params(state), history[-1])
                if trackers is not None:
                    trackers.write(history[-1])
                over = callback is not None and _asked_to_stop(callback, averaged_params(state), history[-1])
            if over or (selection is not None and selection.over):
                break
    return state, history


def _asked_to_stop(callback: Callback, params: Params, record: Mapping[str, Any]) -> bool:
    answer: Any = callback(host_copy(params), dict(record))
    if answer is None or isinstance(answer, bool | np.bool_):
        return bool(answer)
    raise TypeError(f"callback returned {shown(answer)}, expected True to stop, or False or None to go on.")
