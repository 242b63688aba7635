"""Networks of noisy data: what each of their inputs reaches, how they start, and which pictures they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import moved

from jaxvae.networks.denoisers import MLPDenoiser, UNet

pytestmark = pytest.mark.quick_compile
KEY = jax.random.key(0)
NETWORKS = {
    "mlp": MLPDenoiser((4, 8, 2), channels=3, hidden=(8, 8)),
    "u-net": UNet((4, 8, 2), channels=3, features=(3, 4), attention=True),
}


@pytest.mark.rows(slow=["u-net"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_denoiser_starts_at_zero_and_then_sees_the_data_the_noise_and_the_context(name):
    network, z, gamma, context = NETWORKS[name], jax.random.normal(KEY, (4, 8, 2)), jnp.float32(-1.0), jnp.eye(3)[1]
    variables, apply = jax.jit(network.init)(KEY, z, gamma, context), jax.jit(network.apply)
    assert apply(variables, z, gamma, context).shape == (4, 8, 6)
    assert not np.any(apply(variables, z, gamma, context))
    variables = moved(variables)
    found = apply(variables, z, gamma, context)
    for other in ((z.at[0, 0, 0].add(1.0), gamma, context), (z, gamma + 1.0, context), (z, gamma, jnp.eye(3)[2])):
        assert np.abs(apply(variables, *other) - found).max() > 1e-4
    # The far corner sees the near one.
    assert np.abs(apply(variables, z.at[0, 0, 0].add(1.0), gamma, context) - found)[-1, -1].max() > 1e-6


def test_sides_that_do_not_halve_are_refused_with_those_that_do():
    assert UNet((6, 6, 1), features=(4, 8)).halvings == 1
    with pytest.raises(ValueError, match=r"\(7, 7, 1\), but 1 layers of stride 2.*multiples of 2.*8 x 8"):
        UNet((7, 7, 1), features=(4, 8))
    with pytest.raises(ValueError, match=r"hidden is \(\)"):
        MLPDenoiser((2,), hidden=())
    UNet((7, 7, 1), features=(4,))
