"""The von Mises-Fisher distribution on the unit sphere: density, KL to the uniform distribution, and sampling."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.arguments import arguments
from jaxvae.math.bessel import bessel_parts, cumulant_defect, log_cumulant, mean_defect, mean_length_slope
from jaxvae.roles import direction, integer, key, real

Array = jax.Array
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
PROPOSALS = 100  # each is taken with probability above 0.6
KAPPA = real(low=0.0, high=float(np.finfo(np.float32).max), fix="Pass kappa, not its logarithm.")


def log_sphere_area(dim: int) -> float:
    """The logarithm of the area of the unit sphere in `dim` dimensions, log(2 pi^(d/2) / Gamma(d/2))."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


@arguments(concentration=KAPPA, dim=integer(2))
def von_mises_fisher_log_normalizer(concentration: Array, dim: int) -> Array:
    r"""log C(kappa) of the density C(kappa) exp(kappa m'z) on the unit sphere.

    log C = v log kappa - d/2 log(2 pi) - log I_v(kappa), v = d/2 - 1

    Args:
        concentration: [...] kappa, at least 0; right to 1e-5 up to 1e5, with its derivative -I_{v+1} / I_v.
        dim: d >= 2, the dimensions of the space around the sphere.

    Returns:
        [...] nats.

    Source: Davidson, Falorsi, De Cao, Kipf and Tomczak, 2018, arXiv 1804.00891.

    Example:
        >>> round(float(von_mises_fisher_log_normalizer(jnp.float32(0), 3)), 4)  # -log(4 pi)
        -2.531
    """
    return -log_cumulant(concentration, dim) - log_sphere_area(dim)


@arguments(concentration=KAPPA, dim=integer(2))
def von_mises_fisher_kl_uniform(concentration: Array, dim: int) -> Array:
    r"""KL divergence to the uniform distribution of the sphere: kappa A(kappa) + log C(kappa) - log C(0).

    Args:
        concentration: [...] kappa, at least 0.
        dim: d >= 2.

    Returns:
        [...] nats, never negative, whatever the mean direction.

    Source: Davidson et al., 2018, arXiv 1804.00891, appendix B.

    Example:
        >>> float(von_mises_fisher_kl_uniform(jnp.float32(0), 3))
        0.0
    """
    return _kl(concentration, dim)


@arguments(z=direction("[d >= 2]"), direction=direction("[d]"), concentration=KAPPA._replace(shape="[]"))
def von_mises_fisher_log_density(z: Array, direction: Array, concentration: Array) -> Array:
    r"""Log-density of a unit vector: kappa m'z + log C(kappa), relative to the area of the sphere.

    Args:
        z: [d] a unit vector.
        direction: [d] m, a unit vector.
        concentration: [] kappa, at least 0; 0 is the uniform distribution.

    Returns:
        [] nats.

    Source: Davidson et al., 2018, arXiv 1804.00891.

    Example:
        >>> north = jnp.array([0.0, 0.0, 1.0])
        >>> round(float(von_mises_fisher_log_density(north, -north, jnp.float32(0))), 4)
        -2.531
    """
    # m'z - 1 = -|z - m|^2 / 2: near the mean, kappa m'z and log C are large and opposite.
    distance = jnp.sum((z - direction) ** 2)
    return cumulant_defect(concentration, z.size) - concentration * distance / 2 - log_sphere_area(z.size)


@arguments(key=key(), direction=direction("[d >= 2]"), concentration=KAPPA._replace(shape="[]"))
def von_mises_fisher_sample(key: Array, direction: Array, concentration: Array) -> Array:
    r"""Sample on the unit sphere that can be differentiated in the direction and the concentration.

    The angle to the mean is drawn by rejection (at most 100 proposals, of which each is taken with probability above
    0.6) and its derivative is the implicit one, d angle / d kappa = -(dF / d kappa) / p(angle), by quadrature over 64
    nodes; the tangent is a Gaussian vector with its part along the mean removed. Nothing is left out of the gradient.

    Args:
        key: a JAX random key; it is consumed.
        direction: [d] a unit vector, d >= 2.
        concentration: [] kappa >= 0.

    Returns:
        [d] a unit vector.

    Source: Ulrich, 1984, and Wood, 1994, for the rejection; Figurnov, Mohamed and Mnih, 2018, arXiv 1805.08498, for
        the derivative; Davidson et al., 2018, arXiv 1804.00891, use the rejection's.

    Example:
        >>> z = von_mises_fisher_sample(jax.random.key(0), jnp.array([0.0, 1.0]), jnp.float32(1e5))
        >>> bool(z[1] > 0.99)
        True
    """
    key_angle, key_tangent = jax.random.split(key)
    drawn = jax.lax.stop_gradient(_angle(key_angle, jax.lax.stop_gradient(concentration), direction.size))
    angle = _follow(drawn, concentration, direction.size)
    tangent = jax.random.normal(key_tangent, direction.shape, direction.dtype)
    for _ in range(2):  # a tangent that was nearly the direction has lost its digits: once more
        tangent = unit_vector(tangent - jnp.sum(tangent * direction) * direction)
    return jnp.cos(angle) * direction + jnp.sin(angle) * tangent


def unit_vector(x: Array) -> Array:
    """x / |x| of a vector [d], neither overflowing nor underflowing; (1, 0, ...) with gradient 0 where x is 0."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    zero = largest < jnp.finfo(x.dtype).tiny
    root = jnp.sqrt(jnp.where(zero, 1.0, largest))  # twice the root: the reciprocal of 1e38 would be flushed to 0
    x = jnp.where(zero, jnp.zeros_like(x).at[0].set(1.0), x / root / root)
    return x / jnp.sqrt(jnp.sum(x * x))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _kl(concentration: Array, dim: int) -> Array:
    """kappa A - K up to kappa = d, (kappa - K) - kappa (1 - A) beyond."""
    parts = bessel_parts(concentration, dim)
    low = concentration * parts.slope - parts.cumulant
    return jnp.maximum(jnp.where(concentration < dim, low, parts.defect - parts.shortfall), 0.0)


@_kl.defjvp
def _kl_jvp(dim: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (concentration,), (change,) = primals, tangents
    return _kl(concentration, dim), concentration * mean_length_slope(concentration, dim) * change


def _angle(key: Array, concentration: Array, dim: int) -> Array:
    """The angle to the mean [], by rejection from a beta variable; 1 - cos is kept, since cos itself rounds to 1."""
    two, freedom = 2 * concentration, dim - 1.0
    b = freedom / (two + jnp.sqrt(two * two + freedom * freedom))
    x, rest = (1 - b) / (1 + b), 2 * b / (1 + b)  # rest = 1 - x

    def propose(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        key, count, fall, _ = carry
        key, key_beta, key_accept = jax.random.split(key, 3)
        e = jax.random.beta(key_beta, freedom / 2, freedom / 2, dtype=concentration.dtype)
        fall = 2 * b * e / (1 - (1 - b) * e)
        level = concentration * (rest - fall) + freedom * jnp.log((rest + x * fall) / (rest * (1 + x)))
        u = jax.random.uniform(key_accept, (), concentration.dtype, jnp.finfo(concentration.dtype).tiny, 1.0)
        return key, count + 1, fall, level >= jnp.log(u)

    start = (key, jnp.int32(0), jnp.zeros_like(concentration), jnp.zeros((), bool))
    fall = jax.lax.while_loop(lambda carry: ~carry[3] & (carry[1] < PROPOSALS), propose, start)[2]
    return 2 * jnp.arcsin(jnp.sqrt(jnp.clip(fall / 2, 0.0, 1.0)))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _follow(angle: Array, concentration: Array, dim: int) -> Array:
    """The angle itself, which moves with the concentration so as to keep its place in the distribution."""
    return angle


@_follow.defjvp
def _follow_jvp(dim: int, primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """d angle / d kappa = -(1 / p(angle)) integral_0^angle p(a) (cos a - A) da, or of the other side's, with sign.

    The side away from the mode is integrated, over 9 standard deviations at most; p there is at most p(angle).
    """
    (angle, kappa), (_, change) = primals, tangents
    # The mode of p(a) ~ exp(kappa cos a) sin(a)^(d - 2) solves kappa sin^2 a = (d - 2) cos a.
    ratio = (dim - 2) / jnp.maximum(kappa, 1e-6)
    cosine = 2 / (ratio + jnp.sqrt(ratio * ratio + 4))
    bend = kappa * cosine + (dim - 2) / jnp.maximum(1 - cosine * cosine, 1e-12)
    width = 9 / jnp.sqrt(jnp.maximum(bend, 1e-3))
    above = jnp.cos(angle) < cosine
    start = jnp.where(above, angle, jnp.maximum(angle - width, 0.0))
    length = jnp.where(above, jnp.minimum(angle + width, math.pi), angle) - start
    nodes = jnp.asarray((NODES + 1) / 2, angle.dtype)
    a = start + length * nodes
    log_ratio = -2 * kappa * jnp.sin((a + angle) / 2) * jnp.sin((a - angle) / 2)
    log_ratio += (dim - 2) * (jnp.log(jnp.maximum(jnp.sin(a), 1e-30)) - jnp.log(jnp.maximum(jnp.sin(angle), 1e-30)))
    excess = mean_defect(kappa, dim) - 2 * jnp.sin(a / 2) ** 2  # cos a - A
    integral = length * jnp.sum(jnp.asarray(WEIGHTS / 2, angle.dtype) * jnp.exp(log_ratio) * excess)
    return angle, jnp.where(above, integral, -integral) * change
