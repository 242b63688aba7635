"""A decoder that is told a picture sees all of it and the code, and says which pictures it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import moved

from jaxvae.networks import PictureDecoder

pytestmark = pytest.mark.quick_compile
KEY = jax.random.key(0)


@pytest.mark.slow
def test_it_starts_at_zero_and_then_sees_the_code_and_the_picture_everywhere():
    network, z, picture = PictureDecoder((4, 8, 3), 2, (3, 4), dense=5), jnp.ones(2), jnp.zeros((4, 8, 1))
    variables, apply = jax.jit(network.init)(KEY, z, picture), jax.jit(network.apply)
    assert apply(variables, z, picture).shape == (4, 8, 6)
    assert not np.any(apply(variables, z, picture))
    variables = moved(variables)
    found = apply(variables, z, picture)
    for other in ((z + 1.0, picture), (z, picture.at[0, 0, 0].add(1.0))):
        assert (np.abs(apply(variables, *other) - found).max(-1) > 1e-6).all()


def test_a_picture_of_another_size_is_refused_with_the_remedy():
    network = PictureDecoder((4, 8, 3), features=(3,))
    with pytest.raises(ValueError, match=r"picture has shape \(2, 4, 3\), expected \(H, W, D\).*brought to that size"):
        jax.eval_shape(network.init, KEY, jnp.zeros(2), jnp.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match=r"\(6, 6, 3\), but 2 layers of stride 2"):
        PictureDecoder((6, 6, 3), features=(3, 4))
