# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · Autoregressive models
#
# The chain rule makes an exact density of any network that sees only what came before:
#
# $$\log p(x) = \sum_i \log p(x_i \mid x_1, \dots, x_{i-1}).$$
#
# No bound, no latents. Here: what "exact" means, what a pixel may see, pictures drawn pixel by pixel, pictures completed, and what becomes of a VAE whose decoder is such a model.

# %%
# %matplotlib inline
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib import pyplot as plt

import jaxvae
from jaxvae.data.protocols import levels
from jaxvae.evaluation import plots
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.latents import draw
from jaxvae.evaluation.latents.collapse import CollapseWarning
from jaxvae.evaluation.samples import complete
from jaxvae.models.densities import autoregressive, density_model
from jaxvae.models.observations.continuous import bernoulli
from jaxvae.models.observations.discrete import discretized_logistic
from jaxvae.models.variational import vae
from jaxvae.networks.causal import (
    gated_pixel_cnn,
    gated_recurrent,
    masked_pixel_cnn,
    sees_only_the_past,
    wavenet,
)
from jaxvae.networks.mlp import MLPEncoder
from jaxvae.objectives.rates import free_bits_bound
from jaxvae.training.losses.bound import batch_bound_loss

# %% [markdown]
# ## Exact
#
# A picture of 2 x 2 black or white pixels is one of 16. A PixelCNN with random weights gives each a probability, and they sum to 1, whatever the weights are. A VAE of the same size gives a bound on each, and the bounds sum to less.

# %%
p = autoregressive(gated_pixel_cnn((2, 2, 1), features=4, layers=2))
leaves, tree = jax.tree.flatten(p.init(jax.random.key(0), None))
params = tree.unflatten([a + 0.4 * jax.random.normal(jax.random.key(i), a.shape) for i, a in enumerate(leaves)])
everything = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(-1, 2, 2, 1)
chances = np.exp(jax.vmap(p.log_prob, (None, 0, None))(params, everything, None))

figure, ax = plt.subplots(figsize=(8, 2.2))
ax.bar(range(16), chances)
ax.set(xticks=range(16), xticklabels=["".join(str(int(v)) for v in x.ravel()) for x in everything], ylabel="p(x)")
ax.tick_params(axis="x", rotation=90)
_ = ax.set_title(f"All pictures of 2 x 2: the sum is {chances.sum():.6f}", loc="left")
# %% [markdown]
# ## What a pixel may see
#
# How much the output of the middle pixel (framed) changes with each input, after five layers, on a logarithmic scale. Masked convolutions leave a blind spot to the upper right, which no depth fills; the gated PixelCNN has two stacks, rows above and columns to the left, and none. WaveNet takes the picture as a line and skips twice as far in every layer. None sees itself or anything later: a network that did would have a likelihood too good to be true, and nothing else would tell.

# %%
SIDE, MIDDLE = 11, (5, 5)


def influence(network):
    u = jax.random.normal(jax.random.key(1), (SIDE, SIDE, 1))
    variables = network.init(jax.random.key(0), u, None)
    slopes = jax.grad(lambda u: network.apply(variables, u)[(*MIDDLE, 0, 0)])(u)
    return np.log10(np.abs(slopes[..., 0]) + 1e-12), sees_only_the_past(network, variables, u)


networks = {
    "masked": masked_pixel_cnn((SIDE, SIDE, 1), features=8, layers=5, first=1),
    "gated": gated_pixel_cnn((SIDE, SIDE, 1), features=8, layers=5, first=1),
    "WaveNet": wavenet((SIDE, SIDE, 1), features=8, layers=5),
}
figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    seen, past = influence(network)
    ax.imshow(np.where(seen < -11, np.nan, seen), vmin=-4, vmax=0, cmap="viridis")
    ax.add_patch(plt.Rectangle((MIDDLE[1] - 0.5, MIDDLE[0] - 0.5), 1, 1, fill=False, color="red"))
    ax.set(xticks=[], yticks=[], title=f"{name}: only the past: {past}")

# %% [markdown]
# ## A model of digits
#
# The 8 x 8 digits have 17 grey levels. One pass scores all pixels, since in training each pixel's past is known; a discretised logistic gives each level its probability.

# %%
LEVELS = 17
digits, test = jaxvae.data.load("digits"), jaxvae.data.load("digits", "test")
x, x_test = (np.asarray(levels(None, jnp.asarray(split.images), LEVELS)) for split in (digits, test))
observation = discretized_logistic(LEVELS)
p = autoregressive(gated_pixel_cnn((8, 8, 1), observation.channels, features=24, layers=5), observation)
model = density_model(p, observation, event_shape=(8, 8, 1))
fit = jaxvae.fit(model, x, epochs=15, batch_size=50, optimizer=optax.adam(3e-3), progress=False)
nats = -per_example(model, fit.params, jax.random.key(0), x_test)["log_p"]
print(f"-log p(x) of {len(nats)} test digits: {nats.mean():.1f} +- {nats.std() / len(nats) ** 0.5:.1f} nats, exact")
print(f"all levels alike would cost {64 * np.log(LEVELS):.1f}")

# %% [markdown]
# A draw visits the pixels in their order, each from its distribution given those before; what has been computed is kept, so that a pixel costs one column of the network and no whole pass.

# %%
new = model.to_unit(draw(model, fit.params, jax.random.key(1), 30))
plots.image_grid(new, columns=15, title="Drawn, pixel after pixel")[0]

# %% [markdown]
# What is known is fed in place of drawn. Four rows known, and the rest drawn several times: where the start leaves a choice, the completions differ.

# %%
known = np.zeros((8, 8, 1), bool)
known[:4] = True
found = complete(model, fit.params, jax.random.key(2), x_test[:10], known, draws=3)
halves = np.where(known, model.to_unit(x_test[:10]), 0.5)
rows = {"test digit": model.to_unit(x_test[:10]), "what is known": halves}
plots.compare(
    rows | {f"completed {k + 1}": model.to_unit(found.x[:, k]) for k in range(3)}, title="The lower half is drawn"
)[0]

# %% [markdown]
# ## A decoder that needs no code
#
# Put such a density behind a code, p(x | z), and the code may be left unused: whatever the decoder finds out by itself from the past, z need not tell, and telling it costs nats. The data here make that plain. A chain of 48 zeros and ones switches with a probability of its own, which is all there is to know about it; its evidence, with that probability integrated out, is known.

# %%
LENGTH = 48
rng = np.random.default_rng(0)


def chains(count):
    rate = rng.uniform(0.05, 0.95, count)
    switched = rng.uniform(size=(count, LENGTH)) < rate[:, None]
    switched[:, 0] = rng.uniform(size=count) < 0.5
    return (np.cumsum(switched, 1) % 2).astype(np.float32), rate


def evidence(x):
    switches, grid = (np.diff(x, axis=1) != 0).sum(1)[:, None], np.linspace(0.05, 0.95, 2001)
    return np.log(0.5) + np.log((grid**switches * (1 - grid) ** (LENGTH - 1 - switches)).mean(1))


(chain, _), (chain_test, rate_test) = chains(2000), chains(1000)
print(f"-log p(x) of the test chains: {-evidence(chain_test).mean():.2f} nats, exactly")

# %% [markdown]
# Three VAEs of one latent. A GRU sees the whole past and estimates the probability itself; the same with free bits, 1.5 nats that the code may use for nothing; and one layer of WaveNet, which sees two elements back and no more.

# %%
shape = (LENGTH,)
trials = {
    "GRU": (gated_recurrent(shape, width=24), None, 60),
    "GRU, free bits": (gated_recurrent(shape, width=24), 1.5, 30),
    "sees two back": (wavenet(shape, features=8, layers=1, hidden=16), None, 30),
}
for name, (network, free, epochs) in trials.items():
    model = vae(MLPEncoder(1, (64,)), autoregressive(network, bernoulli()), event_shape=shape, latent_dim=1)
    loss = None if free is None else batch_bound_loss(model, free_bits_bound, free_nats=free)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", CollapseWarning)
        sizes = {"epochs": epochs, "batch_size": 50, "progress": False}
        fit = jaxvae.fit(model, chain, optimizer=optax.adam(3e-3), loss=loss, **sizes)
    values = per_example(model, fit.params, jax.random.key(1), chain_test, samples=50)
    code = np.asarray(jax.vmap(model.posterior.mean, (None, 0))(fit.params, chain_test))[:, 0]
    told = abs(np.corrcoef(code, rate_test)[0, 1])
    print(
        f"{name:15} -ELBO {-values['elbo'].mean():6.2f}, -IW-50 {-values['iwae'].mean():6.2f}, "
        f"KL {values['kl'].mean():.2f}, correlation of code and probability {told:.2f}"
    )
    for warning in said:
        print(f"    {str(warning.message).splitlines()[0]}")

# %% [markdown]
# All three are within a fifth of a nat of the evidence: as densities they are as good as one another. As codes they are not. The GRU left its code unused and was warned about; free bits, or a decoder that cannot see far, bring the code back, at the price of a somewhat looser ELBO. Which one to want depends on whether you want log p(x) or z.
#
# On pictures the same model is a PixelVAE, `jaxvae train digits --model.kind pixel_vae`. Texts, sounds and codes have their own commands: `python -m experiments.language`, `python -m experiments.wavenet`, `--model.kind vq_transformer`; [the lectures' page](lectures/autoregressive_and_adversarial.md) has the figures.
