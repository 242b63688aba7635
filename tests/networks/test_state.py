"""A network that keeps running averages is refused wherever a user's network enters: nothing here would update them.

Trained as parameters, they would follow a gradient that they do not have, and a running variance would drift.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxvae
from jaxvae.evaluation.samples.classifiers import classifier_trainer
from jaxvae.models.contexts import Labelled
from jaxvae.models.hierarchical import hierarchical_vae
from jaxvae.models.ladder import ladder_vae
from jaxvae.models.players.critic import with_critic
from jaxvae.models.semi_supervised import semi_supervised_vae
from jaxvae.models.vq import vq_vae
from jaxvae.networks.conditional import with_context
from jaxvae.networks.hierarchical import MLPLevel

SHAPE = (4, 4, 1)
X = jnp.zeros(SHAPE)


class Own(nn.Module):
    """A user's network of one layer, with a normalisation or without."""

    shapes: tuple
    norm: str = "batch"
    learns: bool = False  # whether it uses the statistics of the batch, as in training elsewhere

    @nn.compact
    def __call__(self, *inputs):
        x = nn.Dense(8)(jnp.concatenate([jnp.ravel(value) for value in inputs]))
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=not self.learns)(x[None])[0]
        elif self.norm == "group":
            x = nn.GroupNorm(num_groups=2)(x[None])[0]
        elif self.norm == "layer":
            x = nn.LayerNorm()(x)
        outputs = tuple(nn.Dense(int(np.prod(shape)))(x).reshape(shape) for shape in self.shapes)
        return outputs if len(outputs) > 1 else outputs[0]


def conditioner(size, **options):
    return Own(((size,),), **options)


def models(**options):
    """{where the network enters: a model with it there}."""
    pair, picture = Own(((2,), (2,)), **options), Own((SHAPE,), **options)
    encoder, decoder = jaxvae.MLPEncoder(2, (8,)), jaxvae.MLPDecoder(SHAPE, hidden=(8,))
    sizes = {"event_shape": SHAPE, "latent_dim": 2}
    two = {"event_shape": SHAPE, "latent_dims": (2, 2)}
    own_flow = jaxvae.flows.real_nvp(2, functools.partial(conditioner, **options), 2)
    return {
        "encoder": lambda: jaxvae.vae(pair, decoder, **sizes),
        "decoder": lambda: jaxvae.vae(encoder, picture, **sizes),
        "encoder_2": lambda: hierarchical_vae([encoder, pair], [encoder], decoder, **two),
        "prior_1": lambda: hierarchical_vae([encoder, encoder], [pair], decoder, **two),
        "encoder_1": lambda: ladder_vae(
            [Own(((8,), (2,), (2,)), **options), MLPLevel(2, (8,))], [encoder], decoder, **two
        ),
        "critic": lambda: with_critic(jaxvae.vae(encoder, decoder, **sizes), Own(((),), **options)),
        "prior": lambda: jaxvae.vae(encoder, decoder, **sizes, prior=jaxvae.priors.flow_prior(own_flow, 2)),
        "posterior_flow": lambda: jaxvae.vae(
            encoder, decoder, **sizes, posterior=jaxvae.posteriors.flow_posterior(own_flow)
        ),
        "encoder of a flow": lambda: jaxvae.vae(
            pair, decoder, **sizes, posterior=jaxvae.posteriors.flow_posterior(jaxvae.flows.planar(2))
        ),
        "encoder of an autoencoder": lambda: jaxvae.autoencoder(Own(((2,),), **options), decoder, **sizes),
        "encoder of a VQ-VAE": lambda: vq_vae(
            Own(((2, 2),), **options), Own((SHAPE,), norm="none"), event_shape=SHAPE, code_shape=(2, 2), codes=4
        ),
        "decoder of a GAN": lambda: jaxvae.gan(picture, **sizes),
    }


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("where", models())
def test_batch_norm_is_refused_with_what_to_use_instead(where, learns):
    model = models(learns=learns)[where]()
    # A chain of layers asks each before the next one is made, and knows no name for itself.
    name = {"prior": "layer_0", "posterior_flow": "layer_0"}.get(where, where.partition(" ")[0])
    with pytest.raises(ValueError, match=rf"network '{name}[^']*' keeps state .*: batch_stats.*GroupNorm or LayerNorm"):
        jax.eval_shape(model.init, jax.random.key(0), X)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_what_the_message_recommends_is_taken(norm):
    for where, make in models(norm=norm).items():
        assert jax.eval_shape(make().init, jax.random.key(0), X), where


def test_the_classifier_that_judges_samples_too():
    network, held_out = Own(((5,),)), (np.zeros((4, *SHAPE), np.float32), np.array([0, 1, 0, 1]))
    train = classifier_trainer(network, classes=2, steps=1, batch_size=2)
    with pytest.raises(ValueError, match=r"'network' keeps state .*batch_stats"):
        train(*held_out, seed=0)


def test_any_collection_beside_the_parameters_is_state():
    class Counted(nn.Module):
        @nn.compact
        def __call__(self, z):
            self.variable("counters", "calls", lambda: jnp.zeros(()))
            return nn.Dense(16)(z).reshape(SHAPE)

    model = jaxvae.vae(jaxvae.MLPEncoder(2, (8,)), Counted(), event_shape=SHAPE, latent_dim=2)
    with pytest.raises(ValueError, match=r"'decoder' keeps state beside its parameters: counters"):
        jax.eval_shape(model.init, jax.random.key(0), X)


def test_the_classifier_of_a_semi_supervised_model_too():
    networks = [with_context(jaxvae.MLPEncoder(2, (8,))), with_context(jaxvae.MLPDecoder(SHAPE, hidden=(8,)))]
    model = semi_supervised_vae(*networks, Own(((3,),)), event_shape=SHAPE, latent_dim=2, classes=3)
    with pytest.raises(ValueError, match=r"'classifier' keeps state .*batch_stats"):
        jax.eval_shape(model.init, jax.random.key(0), Labelled(X, jnp.int32(1)))
