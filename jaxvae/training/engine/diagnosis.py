"""What was not finite in a step that was skipped."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.models.contexts import count_examples
from jaxvae.training.engine.sampler import epoch_indices, examples_of
from jaxvae.training.engine.state import TrainState
from jaxvae.training.engine.step import Preprocess, take
from jaxvae.training.engine.streams import NOISE, PREPROCESS, example_keys
from jaxvae.training.losses.bound import Loss
from jaxvae.training.losses.whole_batch import keyed


def make_diagnosis(make_loss: Callable[[Any], Loss], preprocess: Preprocess, batch_size: int) -> Callable[..., str]:
    """diagnose(state, images, hyper=None) -> which of batch, parameters, loss and gradient is first not finite.

    With `gathered` the images are the batch itself, of the step that was just skipped.
    """

    @functools.partial(jax.jit, static_argnames="gathered")
    def parts(state: TrainState, images: Any, hyper: Any, gathered: bool) -> Any:
        step = state.step - 1  # the step just skipped
        raw = images
        if not gathered:
            per_epoch = count_examples(images, "images") // batch_size
            order = epoch_indices(state.key, step // per_epoch, images)
            indices = jax.lax.dynamic_slice_in_dim(order, step % per_epoch * batch_size, batch_size)
            raw = take(examples_of(images), indices)
        batch = jax.vmap(preprocess)(example_keys(state.key, PREPROCESS, step, batch_size), raw)
        keys = example_keys(state.key, NOISE, step, batch_size)
        loss = keyed(make_loss(hyper))
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, keys, batch, step)
        tree = {"1 batch": batch, "2 parameter": state.params, "3 loss": value, "4 gradient": gradient}
        return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)

    def diagnose(state: TrainState, images: Any, hyper: Any = None, gathered: bool = False) -> str:
        found = parts(state, images, {} if hyper is None else hyper, gathered=gathered)
        for path, finite in jax.tree.leaves_with_path(found):
            if not finite:
                kind, *rest = (str(getattr(key, "key", key)) for key in path)
                return f"the first bad leaf is the {kind[2:]} {'/'.join(rest)}".rstrip()
        return "the norm of the gradient overflows, is above the limit, or far above those before it"

    return diagnose
