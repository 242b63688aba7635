"""Structural similarity of two pictures: luminance, contrast and structure of small windows, at several scales."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.arguments import arguments
from jaxvae.roles import floats

Array = jax.Array
WINDOW, SIGMA = 11, 1.5  # pixels: the side of the Gaussian window and its standard deviation
C1, C2 = 0.01**2, 0.03**2  # what steadies the two ratios, for pictures on [0, 1]
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first


@arguments(x=floats("[H >= 11, W >= 11, C]"), y=floats(like="x"))
def structural_similarity(x: Array, y: Array) -> Array:
    r"""SSIM: the mean over windows and channels of luminance times contrast-structure.

    (2 mu_x mu_y + c_1) / (mu_x^2 + mu_y^2 + c_1) * (2 s_xy + c_2) / (s_x^2 + s_y^2 + c_2), moments under a Gaussian
    window of 11x11 pixels, sigma 1.5, that lies within the picture.

    Args:
        x, y: [H, W, C] pictures on [0, 1], of at least 11x11 pixels.

    Returns:
        [] between -1 and 1; 1 where the pictures are equal. No likelihood, and no distance in nats.

    Source: Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error visibility to structural
    similarity".

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (16, 16, 3))
        >>> round(float(structural_similarity(x, x)), 4), bool(structural_similarity(x, 1 - x) < 0)
        (1.0, True)
    """
    luminance, contrast = _parts(x, y)
    return (luminance * contrast).mean()


@arguments(x=floats("[H >= 11, W >= 11, C]"), y=floats(like="x"))
def multiscale_similarity(x: Array, y: Array) -> Array:
    r"""MS-SSIM: prod_{j < M} (mean contrast-structure at scale j)^{w_j} (mean SSIM at scale M)^{w_M}.

    Each scale halves the sides of the one before by means of 2x2 pixels (an odd last row or column is left out). The
    paper's five scales ask for sides of 176 pixels; smaller pictures have as many scales as keep the window of 11
    pixels within them, and their weights are divided by their sum: two at 28 and 32 pixels, three at 64, four at 128.
    A mean below 1e-6 counts as 1e-6: below 0 it has no power, and at 0 a power has no finite slope.

    Args:
        x, y: [H, W, C] pictures on [0, 1], of at least 11x11 pixels.

    Returns:
        [] between 0 and 1; 1 where the pictures are equal.

    Source: Wang, Simoncelli and Bovik, 2003, "Multiscale structural similarity for image quality assessment".

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (32, 32, 3))
        >>> round(float(multiscale_similarity(x, x)), 4), bool(multiscale_similarity(x, x.at[4:9, 4:9].set(0)) < 1)
        (1.0, True)
    """
    count = scales(x.shape[0], x.shape[1])
    total = sum(WEIGHTS[:count])
    product = jnp.ones((), x.dtype)
    for scale in range(count):
        luminance, contrast = _parts(x, y)
        last = scale == count - 1
        part = jnp.maximum((luminance * contrast if last else contrast).mean(), 1e-6)  # the power's slope is finite
        product = product * part ** (WEIGHTS[scale] / total)
        if not last:
            x, y = _halved(x), _halved(y)
    return product


def scales(height: int, width: int) -> int:
    """How many scales a picture of these sides has.

    Example:
        >>> [scales(side, side) for side in (11, 28, 64, 176, 500)]
        [1, 2, 3, 5, 5]
    """
    return sum(min(height, width) >> scale >= WINDOW for scale in range(len(WEIGHTS)))


def _parts(x: Array, y: Array) -> tuple[Array, Array]:
    """Luminance and contrast-structure [H - 10, W - 10, C] of each window."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (var_x + var_y + C2)


def _blurred(x: Array) -> Array:
    """The mean of each window, as two products of matrices: rows and columns one after the other."""
    rows, columns = (jnp.asarray(_window_matrix(side), x.dtype) for side in x.shape[:2])
    return jnp.einsum("ah,hwc,bw->abc", rows, x, columns, precision=jax.lax.Precision.HIGHEST)


def _window_matrix(side: int) -> np.ndarray:
    """[side - 10, side]: row i is the window that begins at pixel i."""
    weights = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    matrix = np.zeros((side - WINDOW + 1, side))
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = weights / weights.sum()
    return matrix


def _halved(x: Array) -> Array:
    height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, channels).mean((1, 3))
