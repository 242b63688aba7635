"""Samples in chunks: the same numbers whatever the chunk, and memory that does not grow with the samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import images, small_vae

import jaxvae
from jaxvae.training.losses.samples import in_chunks

pytestmark = pytest.mark.quick_compile

MODEL = small_vae()
BATCH = jnp.float32(images(3) > 100)
OBJECTIVES = {
    "elbo": {"bound": jaxvae.elbo, "beta": 0.5},
    "iwae": {"bound": jaxvae.iwae_bound},
    "free bits": {"bound": jaxvae.objectives.free_bits_bound, "free_nats": 0.2},
    "doubly": {"bound": jaxvae.iwae_bound, "estimator": jaxvae.objectives.doubly_reparameterized},
    "score": {"bound": jaxvae.iwae_bound, "estimator": jaxvae.objectives.score_function},
}


QUICK = ("iwae", "doubly")


@pytest.mark.rows(full=["doubly", "iwae"])
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in OBJECTIVES])
def test_no_number_depends_on_the_chunk(name):
    params, keys = MODEL.init(jax.random.key(0), BATCH[0]), jax.random.split(jax.random.key(1), len(BATCH))

    def of(chunk):
        loss = jaxvae.bound_loss(MODEL, samples=7, chunk=chunk, **OBJECTIVES[name])
        return jax.jit(jax.value_and_grad(loss, has_aux=True))(params, keys, BATCH, jnp.int32(0))

    whole = of(7)
    for chunk in (3, 1):  # with a last chunk that is not full, and one by one
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5), of(chunk), whole)


@pytest.mark.slow
def test_chunks_keep_what_is_kept_and_add_up_the_rest():
    kept, total = jax.jit(lambda a, b: in_chunks(lambda x, y: (x * y, x), 4, a, b))(jnp.arange(10.0), jnp.arange(10.0))
    assert kept.tolist() == [float(i * i) for i in range(10)]
    assert float(total) == 45.0


@pytest.mark.rows(full=["None"])
@pytest.mark.parametrize(
    "estimator", [None, pytest.param(jaxvae.objectives.doubly_reparameterized, marks=pytest.mark.full)]
)
def test_memory_is_flat_in_the_number_of_samples(estimator):
    """VAE of MNIST's size and batch 128: at most 20 MB more for 1,000 samples than for 50, as the compiler plans it."""
    shape = (28, 28, 1)
    model = jaxvae.vae(
        jaxvae.MLPEncoder(50, hidden=(200, 200), activation="tanh"),
        jaxvae.MLPDecoder(shape, hidden=(200, 200), activation="tanh"),
        event_shape=shape,
        latent_dim=50,
    )
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    keys = jax.eval_shape(lambda key: jax.random.split(key, 128), jax.random.key(0))

    def planned(samples):
        loss = jaxvae.bound_loss(model, jaxvae.iwae_bound, samples=samples, estimator=estimator)
        arguments = params, keys, jax.ShapeDtypeStruct((128, *shape), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*arguments).compile()
        return compiled.memory_analysis().temp_size_in_bytes / 1e6

    few, many = planned(50), planned(1000)
    assert few > 20  # a plan is there
    assert many < few + 20
