"""Images on a stack: every pixel pushed with the probabilities that a likelihood gives its values."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.evaluation.compression.stack import Stack
from jaxvae.models.records import Conditional, Params

Array = jax.Array
Answer = Callable[[int, np.ndarray], np.ndarray]


class Pixels:
    """p(x | z) of whole numbers as a coder. Both sides run one program, so that both find the same probabilities.

    Where pixels are independent given z, that program returns all probabilities at once. Where each is told those
    before it, it asks for them one after the other, of all images side by side: the sender answers from the images,
    the receiver from the stack.

    Args:
        likelihood: with `level_log_probs` or `visit`.
        params: of the model.
    """

    def __init__(self, likelihood: Conditional, params: Params) -> None:
        self._likelihood, self._params = likelihood, jax.block_until_ready(params)
        self._answer: Answer = lambda index, p: np.zeros(len(p))
        self._visit = jax.jit(jax.vmap(self._visit_one, (None, 0)))

    def push(self, stack: Stack, x: np.ndarray, z: Any) -> None:
        """Images [G, ...] given their codes, a tree of arrays [G, ...]; G images at a time, always so many."""
        flat = x.reshape(len(x), -1)
        if self._likelihood.level_log_probs is not None:
            stack.push(flat.ravel(), self._all_at_once(z, len(x)))
            return
        steps: dict[int, np.ndarray] = {}

        def answer(index: int, p: np.ndarray) -> np.ndarray:
            steps[index] = p
            return flat[:, index]

        self._ask(answer, z, len(x))
        for index in reversed(range(flat.shape[1])):
            stack.push(flat[:, index], steps[index])

    def pop(self, stack: Stack, z: Any, count: int, shape: tuple[int, ...]) -> np.ndarray:
        """The images [count, *shape] that were pushed with these codes."""
        if self._likelihood.level_log_probs is not None:
            return stack.pop(self._all_at_once(z, count)).reshape(count, *shape).astype(np.float32)
        x: dict[int, np.ndarray] = {}

        def answer(index: int, p: np.ndarray) -> np.ndarray:
            if index not in x:
                x[index] = stack.pop(p)
            return x[index]

        self._ask(answer, z, count)
        return np.stack([x[index] for index in range(len(x))], axis=1).reshape(count, *shape).astype(np.float32)

    def _all_at_once(self, z: Any, count: int) -> np.ndarray:
        log_p = np.asarray(_level_log_probs(self._likelihood, self._params, _with_rows(z, count)), np.float64)
        return np.exp(log_p).reshape(-1, log_p.shape[-1])

    def _ask(self, answer: Answer, z: Any, count: int) -> None:
        self._answer = answer
        jax.block_until_ready(self._visit(self._params, _with_rows(z, count)))

    def _visit_one(self, params: Params, pair: Any) -> Array:
        def host(index: Any, log_p: Any) -> np.ndarray:
            answers = self._answer(int(np.asarray(index).ravel()[0]), np.exp(np.asarray(log_p, np.float64)))
            return np.asarray(answers, np.float32)

        def pick(index: Array, log_p: Array) -> Array:
            value = jax.ShapeDtypeStruct(log_p.shape[:-1], jnp.float32)
            # Told its row, the answer is of one image whatever else is alike; the host is asked for all rows at once.
            told = log_p + 0.0 * pair["row"]
            return jax.pure_callback(host, value, index, told, vmap_method="broadcast_all")

        visit: Any = self._likelihood.visit
        return visit(params, pick, pair["z"])


def levels_of(likelihood: Conditional, params: Params, z: Any) -> int:
    """How many values the likelihood gives a pixel.

    Example:
        >>> from jaxvae.models.likelihoods import decoder_likelihood
        >>> from jaxvae.models.observations.discrete import categorical
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> p = decoder_likelihood(MLPDecoder((2, 1), 5, (4,)), categorical(5), (2, 1))
        >>> levels_of(p, p.init(jax.random.key(0), jnp.zeros(3)), jnp.zeros(3))
        5
    """
    found: list[int] = []

    def pick(index: Array, log_p: Array) -> Array:
        found.append(log_p.shape[-1])
        return jnp.float32(0)

    if likelihood.level_log_probs is not None:
        return int(jax.eval_shape(likelihood.level_log_probs, params, z).shape[-1])
    visit: Any = likelihood.visit
    jax.eval_shape(lambda params, z: visit(params, pick, z), params, z)
    return found[0]


def _with_rows(z: Any, count: int) -> dict[str, Any]:
    """The codes of so many images, of which there may be none: a density has the code ()."""
    return {"z": z, "row": np.zeros(count, np.float32)}


@functools.partial(jax.jit, static_argnums=0)
def _level_log_probs(likelihood: Conditional, params: Params, pair: Any) -> Array:
    levels: Any = likelihood.level_log_probs
    return jax.vmap(lambda pair: levels(params, pair["z"]))(pair)
