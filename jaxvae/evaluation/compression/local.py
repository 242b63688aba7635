"""A flow as a coder: bits back with a code that is a small normal around the exact one.

A flow's code z = f(v) of a real v is one point, and a point has no bits to give back. A normal as small as the flow is
straight, with the covariance that f makes of a round one, has as many as the log-determinant asks for.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.compression.grids import Grid
from jaxvae.evaluation.compression.stack import Stack
from jaxvae.models.priors.flow import Flow
from jaxvae.models.records import Model, Params

Array = jax.Array
WIDTH = 4.0  # standard deviation of the small normal, in cells of v
REACH, DIGITS = 16.0, (128, 128, 128, 128)  # of the grid of a code: cells of 2^-23
LEAST_FINE, MOST_FINE = 8, 20
FINE = 18  # log2 of the cells of a grey level; coarser ones are wider than the logits of black are straight


class LocalFlow(NamedTuple):
    """A flow over pixels as a coder.

    Pop u evenly in the level of x, so that v = (x + u) / L is a cell; pop z ~ N(f(v), s^2 J J^T) with J = df/dv; push
    the cell of v under N(f^-1(z), s^2); push z under the base N(m, S). On average that leaves -E log2 [p(v) / L^D]
    bits, those of the dequantised bound. All in float64: what f^-1(f(v)) loses has to be small beside s.

    Attributes:
        flow, params: of the model, and what it was trained to.
        base: mean and standard deviation [D] of u.
        levels: L. bits: log2 of the cells of a level.
        event_shape: of an image.

    Source: Ho, Lohn and Abbeel, 2019, arXiv 1905.08500 (local bits-back coding, the black-box form).
    """

    flow: Flow
    params: Params
    base: tuple[np.ndarray, np.ndarray]
    levels: int
    bits: int
    event_shape: tuple[int, ...]

    @property
    def latents(self) -> int:
        """Real numbers in the code of an image."""
        return len(DIGITS) * len(self.base[0])

    @property
    def cells(self) -> int:
        """Of v in [0, 1]."""
        return self.levels << self.bits

    def push(self, stack: Stack, x: np.ndarray, start: int) -> None:
        """Images [G, ...] from number `start` on."""
        x = x.reshape(len(x), -1).astype(np.int64)
        within = np.zeros_like(x)
        for chosen, first, count in self._noise(x):
            within[chosen] = first[chosen] + stack.pop_even(chosen.sum(), count)
        k = (x << self.bits) + within
        centre, spread = self._around(k)
        z_cell, apart = np.zeros_like(k), np.zeros(k.shape)
        for i in range(k.shape[1]):
            mean, std = _next(centre, spread, apart, i)
            z_cell[:, i] = [window(*pair).pop(stack, *pair) for pair in zip(mean, std, strict=True)]
            apart[:, i] = (_code(z_cell[:, i]) - mean) / std
        self._of_pixels.push(stack, k.ravel(), *self._given(z_cell))
        CODES.push(stack, z_cell.ravel(), *self._prior(len(x)))

    def pop(self, stack: Stack, count: int, start: int) -> np.ndarray:
        """The steps of `push` backwards, each undone: images [count, *event_shape]."""
        z_cell = CODES.pop(stack, *self._prior(count)).reshape(count, -1)
        k = self._of_pixels.pop(stack, *self._given(z_cell)).reshape(z_cell.shape)
        centre, spread = self._around(k)
        apart, pairs = np.zeros(k.shape), []
        for i in range(k.shape[1]):
            pairs.append(_next(centre, spread, apart, i))
            apart[:, i] = (_code(z_cell[:, i]) - pairs[i][0]) / pairs[i][1]
        for i in reversed(range(k.shape[1])):
            for cell, *pair in reversed(list(zip(z_cell[:, i], *pairs[i], strict=True))):
                window(*pair).push(stack, cell, *pair)
        x, within = np.divmod(k, 1 << self.bits)
        for chosen, first, size in reversed(self._noise(x)):
            stack.push_even((within - first)[chosen], size)
        return x.reshape(count, *self.event_shape).astype(np.float32)

    def _noise(self, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Which pixels have their noise in `count` cells from `first` on: (mask, first, count) of the ends and within.

        The cells next to 0 and to 1 are left out, a thousandth of a level: there the logits bend within one cell.
        """
        cells, ends = 1 << self.bits, (x == 0) | (x == self.levels - 1)
        first = np.where(x == 0, cells >> 10, 0)
        return [(ends, first, cells - (cells >> 10)), (~ends, first, cells)]

    @property
    def _of_pixels(self) -> Grid:
        half = self.bits // 2
        return Grid((self.levels, 1 << (self.bits - half), 1 << half), lambda k: k / self.cells)

    def _prior(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        mean, std = self.base
        return np.tile(mean, count), np.tile(std, count)

    def _around(self, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(v) [G, D] at the middle of cells, and the lower triangle C [G, D, D] of s^2 J J^T = C C^T."""
        with jax.enable_x64(True):
            v = ((k + 0.5) / self.cells).reshape(len(k), *self.event_shape)
            return jax.device_get(_exact_code(self.flow, self.params, v, WIDTH / self.cells))

    def _given(self, z_cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [G D] of v around f^-1 of a code."""
        with jax.enable_x64(True):
            v = np.asarray(_way_back(self.flow, self.params, _code(z_cell))).ravel()
        return v, np.full(v.shape, WIDTH / self.cells)


CELL = 2.0 * REACH / np.prod(DIGITS, dtype=np.float64)
CODES = Grid(DIGITS, lambda k: k * CELL - REACH)


class Window(NamedTuple):
    """The cells of one code that a normal may choose from, 6 standard deviations either way.

    On all of the grid each of the many empty digits would have its 2^-24, and once in some hundred images a code be
    drawn that is far from where the image's is.

    Attributes:
        first: the first cell. grid: of the cells from there, a sixteenth of a standard deviation as first digit.
    """

    first: int
    grid: Grid

    def pop(self, stack: Stack, mean: float, std: float) -> int:
        return self.first + int(self.grid.pop(stack, np.array([mean]), np.array([std]))[0])

    def push(self, stack: Stack, cell: int, mean: float, std: float) -> None:
        self.grid.push(stack, np.array([cell - self.first]), np.array([mean]), np.array([std]))


def window(mean: float, std: float) -> Window:
    """The window of N(mean, std^2)."""
    digits, size = 192, max(2, int(std / CELL / 16))  # no digit of one value: a coder wants a choice
    middle = int((mean + REACH) / CELL)
    first = min(max(0, middle - digits // 2 * size), math.prod(DIGITS) - digits * size)
    return Window(first, Grid((digits, size), lambda k: (first + k) * CELL - REACH))


def _code(k: np.ndarray) -> np.ndarray:
    """The middle of the cells of a code."""
    return (k + 0.5) * CELL - REACH


def _next(centre: np.ndarray, spread: np.ndarray, apart: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [G] of z_i, where `apart` tells in what the elements before it fell."""
    return centre[:, i] + (spread[:, i, :i] * apart[:, :i]).sum(1), spread[:, i, i]


@functools.partial(jax.jit, static_argnums=0)
def _exact_code(flow: Flow, params: Params, v: Array, s: Array) -> tuple[Array, Array]:
    def one(v: Array) -> tuple[Array, Array]:
        def code(flat: Array) -> Array:
            return flow.inverse(params, flat.reshape(v.shape), None)

        slopes = jax.jacfwd(code)(v.reshape(-1))
        upper = jnp.linalg.qr(slopes.T, mode="r")  # J J^T = R^T R, without squaring what is small in J
        return code(v.reshape(-1)), s * (upper * jnp.sign(jnp.diag(upper))[:, None]).T

    return jax.lax.map(one, v)


@functools.partial(jax.jit, static_argnums=0)
def _way_back(flow: Flow, params: Params, z: Array) -> Array:
    return jax.lax.map(lambda z: flow.forward(params, z, None), z)


def local_flow(model: Model, params: Params, bits: int) -> LocalFlow:
    """The coder of a flow over dequantised pixels; raises `ValueError` for one that cannot be a coder, saying why.

    Args:
        model: of `dequantized`, with uniform noise, over a flow whose base is a diagonal normal.
        params: its parameters.
        bits: log2 of the cells of a level.
    """
    if not LEAST_FINE <= positive_integer("bits", bits) <= MOST_FINE:
        raise ValueError(
            f"bits is {bits}, expected {LEAST_FINE} .. {MOST_FINE}: a grey level of a flow has 2^bits cells."
        )
    if model.context is not None:
        raise ValueError("the model is told a context, expected one without: the receiver would have to know it.")
    flow: Any = model.prior.flow
    if flow.base.distribution is None:
        raise ValueError("the base of this flow is no Gaussian, expected one such as standard_normal.")
    shape = tuple(model.event_shape)
    levels = int(model.likelihood.mean(params, jnp.ones(shape)).max()) + 1
    keys, x = jax.random.split(jax.random.key(0), 4), jnp.zeros(shape)
    noise = jax.vmap(lambda key: model.posterior.sample(params, key, x)[1])(keys)
    if not np.allclose(noise, x.size * np.log(levels), rtol=1e-5):
        raise ValueError("the noise between the levels of this flow is learned, expected uniform noise.")
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        mean, log_var = jax.device_get(flow.base.distribution(params, None))
    return LocalFlow(flow, params, (mean, np.exp(0.5 * log_var)), levels, bits, shape)
