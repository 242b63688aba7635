"""Protocols against exhaustive enumeration of their random bits, and the one fixed draw against its recorded hash."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.data import PROTOCOLS, digits, fixed_binarization
from jaxvae.data.protocols import is_white, random_halves, with_noise

KEY = jax.random.key(0)
LEVELS = np.arange(256)


@pytest.fixture(scope="module")
def image() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_a_function_of_one_key_and_one_image(name, image):
    protocol = jax.jit(PROTOCOLS[name])
    x = protocol(KEY, image)
    assert (x.shape, x.dtype) == (image.shape, jnp.float32)
    np.testing.assert_array_equal(protocol(KEY, image), x)
    assert jnp.isfinite(x).all()
    assert (x == protocol(jax.random.key(1), image)).all() == (name not in ("dynamic", "dequantize"))
    shape = jax.eval_shape(jax.vmap(PROTOCOLS[name]), jax.random.split(KEY, 3), jnp.stack([image] * 3))
    assert (shape.shape, shape.dtype) == ((3, *image.shape), jnp.float32)


def test_grey_threshold_and_levels_at_every_level():
    pixels = jnp.asarray(LEVELS, jnp.uint8)
    np.testing.assert_allclose(jax.jit(PROTOCOLS["grey"])(KEY, pixels), LEVELS / 255, rtol=2e-7)
    assert jax.jit(PROTOCOLS["grey"])(KEY, pixels).max() == 1
    np.testing.assert_array_equal(PROTOCOLS["threshold"](KEY, pixels), LEVELS / 255 >= 0.5)
    np.testing.assert_array_equal(PROTOCOLS["levels"](KEY, pixels), LEVELS)


def test_binarisation_has_the_right_probability_at_every_level():
    """Over all 65,536 values of the bits: exact at 0 and 255, the nearest possible everywhere."""
    halves = jnp.arange(65536, dtype=jnp.int32)
    counts = jax.lax.map(lambda pixel: is_white(halves, pixel).sum(), jnp.asarray(LEVELS, jnp.int32))
    probability = np.asarray(counts) / 65536
    assert (probability[0], probability[255]) == (0, 1)
    assert np.abs(probability - LEVELS / 255).max() <= 0.5 / 65536
    numpy_counts = [is_white(np.arange(65536, dtype=np.int32), np.int32(p)).sum() for p in (0, 1, 100, 255)]
    np.testing.assert_array_equal(numpy_counts, counts[np.array([0, 1, 100, 255])])


@pytest.mark.slow
def test_dequantised_pixels_stay_in_their_bin_for_every_level_and_every_bit():
    halves = jnp.arange(65536, dtype=jnp.int32)

    def check(pixel):
        y = with_noise(halves, pixel)
        return (jnp.floor(y * 256) == pixel).all() & (y > 0).all() & (y < 1).all()

    assert jax.lax.map(check, jnp.asarray(LEVELS, jnp.int32)).all()


@pytest.mark.parametrize("count", [2, 17, 182, 255])  # those between 148 and 255 round most
def test_fewer_levels_come_back_and_their_noise_stays_in_its_bin(count):
    level = jnp.arange(count)
    pixels = jnp.asarray(np.round(np.arange(count) * 255 / (count - 1)), jnp.uint8)
    np.testing.assert_array_equal(PROTOCOLS["levels"](None, pixels, count), level)
    for halves in (0, 65535):
        x = np.asarray(with_noise(jnp.full(count, halves), level, count))
        np.testing.assert_array_equal(np.floor(np.float32(count) * x), level)
        assert 0 < x.min() < x.max() < 1


def test_dequantisation_noise_is_exactly_the_midpoints():
    halves = jnp.arange(65536, dtype=jnp.int32)
    for pixel in (0, 1, 127, 255):
        y = np.asarray(with_noise(halves, jnp.int32(pixel)), np.float64)
        midpoints = (np.repeat(np.arange(32768), 2) + 0.5) / 32768
        np.testing.assert_array_equal(y, (pixel + midpoints) / 256)
        assert y.mean() == (pixel + 0.5) / 256


@pytest.mark.full
def test_a_hundred_million_draws_stay_in_their_bin():
    @jax.jit
    def check(step):
        image = jnp.tile(jnp.arange(256, dtype=jnp.uint8), 4096)
        y = PROTOCOLS["dequantize"](jax.random.fold_in(KEY, step), image)
        return (jnp.floor(y * 256) == image).all() & (y > 0).all() & (y < 1).all()

    for step in range(96):
        assert check(step)


@pytest.mark.slow
@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_random_bits_are_uniform_and_distinct(impl):
    keys = jax.random.split(jax.random.key(3, impl=impl), 512)
    halves = np.asarray(jax.jit(jax.vmap(lambda key: random_halves(key, (28, 28, 1))))(keys)).reshape(512, 784)
    assert halves.min() >= 0
    assert halves.max() < 65536
    n = halves.size
    counts = np.bincount(halves.ravel() >> 8, minlength=256)
    assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 255 + 6 * np.sqrt(2 * 255)
    for bit in range(16):
        assert abs((halves >> bit & 1).mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    assert len(np.unique(halves, axis=0)) == 512
    centred = halves / 65536 - 0.5
    for lag in (1, 2, 196, 392, 588):  # neighbours, and the places of the halves of one word and one block
        correlation = (centred[:, lag:] * centred[:, :-lag]).mean() * 12
        assert abs(correlation) < 5 / np.sqrt(n)


@pytest.mark.parametrize("name", ["dynamic", "dequantize"])
def test_a_key_used_again_after_a_protocol_drew_from_it_is_reported(name, image):
    with jax.debug_key_reuse(True), pytest.raises(jax.errors.KeyReuseError):
        jax.jit(lambda key: (PROTOCOLS[name](key, image), jax.random.normal(key)))(KEY)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dynamic", "dequantize"])
def test_noise_differs_between_examples_and_steps(name):
    grey = jnp.full((28, 28, 1), 128, jnp.uint8)

    @jax.jit
    def step(number):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(KEY, number), jnp.arange(8))
        return jax.vmap(PROTOCOLS[name], (0, None))(keys, grey)

    draws = np.concatenate([np.asarray(step(number)).reshape(8, -1) for number in range(8)])
    correlation = np.corrcoef(draws) - np.eye(64)
    assert len(np.unique(draws, axis=0)) == 64
    assert np.abs(correlation).max() < 5 / np.sqrt(784)
    assert np.sqrt((correlation**2).sum() / (64 * 63)) < 1.2 / np.sqrt(784)


@pytest.mark.rows(slow=["1"])
@pytest.mark.parametrize("pixel", [1, 64, 200, 254])
def test_binarised_means_are_the_grey_levels(pixel):
    keys = jax.random.split(jax.random.key(pixel), 400)
    draw = jax.jit(jax.vmap(PROTOCOLS["dynamic"], (0, None)))(keys, jnp.full((28, 28, 1), pixel, jnp.uint8))
    p, n = pixel / 255, draw.size
    assert set(np.unique(draw)) <= {0.0, 1.0}
    assert abs(float(draw.mean()) - p) < 5 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("wrong", [jnp.zeros((4, 4, 1)), jnp.zeros((4, 4, 1), jnp.int32)])
def test_an_image_that_is_not_uint8_is_refused(name, wrong):
    with pytest.raises(TypeError, match=rf"{wrong.dtype} of shape \(4, 4, 1\), expected uint8"):
        PROTOCOLS[name](KEY, wrong)


@pytest.mark.slow
def test_keys_are_used_once():
    with jax.debug_key_reuse(True):
        for protocol in PROTOCOLS.values():
            jax.jit(protocol)(jax.random.key(5), jnp.zeros((3, 3, 1), jnp.uint8))


@pytest.mark.slow
def test_a_legacy_key_gives_the_same_noise(image):
    np.testing.assert_array_equal(
        PROTOCOLS["dynamic"](jax.random.PRNGKey(7), image), PROTOCOLS["dynamic"](jax.random.key(7), image)
    )


@pytest.mark.slow
def test_the_fixed_draw_of_the_digits_is_the_recorded_one():
    images = digits.load("test").images
    binary, digest = fixed_binarization(images, seed=0)
    assert digest == "2a7abc6039c866b93a7a048f9c2738c4fad3560b45e609e11dae74b49a3071ef"
    assert (binary.shape, binary.dtype, set(np.unique(binary))) == (images.shape, np.uint8, {0, 255})
    assert digest == hashlib.sha256(np.packbits(binary.ravel() > 0).tobytes()).hexdigest()
    assert (binary[images == 0] == 0).all()
    assert (binary[images == 255] == 255).all()
    assert abs(binary.mean() - images.mean()) < 5 * 128 / np.sqrt(images.size)
    assert fixed_binarization(images, seed=1)[1] != digest
    for name in ("grey", "threshold", "dynamic"):
        x = jax.vmap(PROTOCOLS[name])(jax.random.split(KEY, 4), jnp.asarray(binary[:4]))
        np.testing.assert_array_equal(x, binary[:4] / 255)


def test_the_noise_of_the_fixed_draw_is_philox_as_published():
    """Words by the published rounds (Salmon et al., 2011), so that the draw can be repeated without NumPy's Philox."""

    def philox(counter: int, key: int) -> list[int]:
        mask = 2**64 - 1
        c, k = [counter, 0, 0, 0], [key, 0]
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
            c = [(b >> 64) ^ c[1] ^ k[0], b & mask, (a >> 64) ^ c[3] ^ k[1], a & mask]
            k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
        return c

    words = [word for counter in (1, 2) for word in philox(counter, key=5)]
    halves = np.array([word >> 16 * i & 0xFFFF for word in words for i in range(4)])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 8, 1), dtype=np.uint8)
    binary, _ = fixed_binarization(pixels, seed=5)
    np.testing.assert_array_equal(binary.ravel() > 0, halves * 255 + 127 < pixels.ravel().astype(int) * 65536)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", None, True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="seed is"):
        fixed_binarization(np.zeros((1, 2, 2, 1), np.uint8), seed=seed)


@pytest.mark.rows(slow=["None"])
@pytest.mark.parametrize("images", [np.zeros((1, 2, 2, 1)), [[0]], None])
def test_images_that_are_not_uint8_are_refused(images):
    with pytest.raises(ValueError, match="expected a uint8 NumPy array"):
        fixed_binarization(images)
