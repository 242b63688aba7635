# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3 · Training a VAE and looking inside
#
# A variational autoencoder has two networks. The *encoder* turns an image $x$ into a Gaussian over codes, $q(z \mid x)$; the *decoder* turns a code $z$ into a distribution over images, $p(x \mid z)$. Both are trained to raise one number, the evidence lower bound
#
# $$\log p(x) \;\ge\; \underbrace{\mathbb{E}_{q(z \mid x)} \log p(x \mid z)}_{\text{reconstruction}} \; - \; \underbrace{\mathrm{KL}\big(q(z \mid x) \,\|\, p(z)\big)}_{\text{what the code costs}}, \qquad p(z) = \mathcal{N}(0, I).$$
#
# Everything below is in **nats per image**. It runs in about a minute on two cores and downloads nothing.

# %%
# %matplotlib inline
import jax
import numpy as np

import jaxvae
from jaxvae.evaluation import latents, plots
from jaxvae.evaluation.latents import generation

# %% [markdown]
# ## The data
#
# 1,797 handwritten digits of 8x8 pixels, from scikit-learn. Images are always `uint8`, `[N, H, W, C]`.

# %%
train, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")
print(train.images.shape, train.images.dtype, "train;", len(test.images), "test")
figure, _ = plots.image_grid(train.images[:36], columns=18, title="Digits")
figure

# %% [markdown]
# ## The model
#
# One hidden layer in each network and two latents, so that the whole code space can be seen. The likelihood says what a pixel is: here one of 256 grey levels, with the mass that a logistic distribution puts on it. The protocol `"levels"` hands the model those integers.

# %%
model = jaxvae.vae(
    jaxvae.MLPEncoder(latent_dim=2, hidden=(256,)),
    jaxvae.MLPDecoder((8, 8, 1), channels=2, hidden=(256,)),  # two numbers a pixel: mean and log-scale
    event_shape=(8, 8, 1),
    latent_dim=2,
    observation=jaxvae.discretized_logistic(),
)
params, history = jaxvae.fit(model, train.images, protocol="levels", epochs=200, progress=False)
figure, _ = plots.loss_curves(history, x="epoch")
figure

# %% [markdown]
# The KL rises while the reconstruction falls: the encoder learns that it pays to say something.
#
# ## Reconstructions
#
# The model sees an image through two numbers only.

# %%
x = test.images.astype(np.float32)
reconstructed = generation.reconstructions(model, params, x[:12])
figure, _ = plots.reconstructions(model.to_unit(x[:12]), model.to_unit(reconstructed))
figure

# %% [markdown]
# ## The code space
#
# Each test image at its posterior mean, coloured by a label that training never saw. The dashed circles hold 39 % and 86 % of the prior.

# %%
codes = latents.encode(model, params, x)
figure, _ = plots.codes(codes.mean, test.labels)
figure

# %% [markdown]
# Decode a grid of Gaussian quantiles, and the plane shows its digits.

# %%
plane = generation.manifold(model, params, count=20)
figure, _ = plots.manifold(model.to_unit(plane), latents.gaussian_quantiles(20))
figure

# %% [markdown]
# ## New digits, and paths between old ones

# %%
drawn = generation.prior_means(model, params, jax.random.key(0), 36)
figure, _ = plots.image_grid(model.to_unit(drawn), columns=18, title="Decoded draws from the prior")
figure

# %%
a, b = x[[0, 3, 5]], x[[8, 11, 17]]
paths = generation.interpolate(model, params, a, b, 9)
figure, _ = plots.interpolations(*map(model.to_unit, (paths, a, b)))
figure

# %% [markdown]
# ## How good is it?
#
# The ELBO is a bound. With $K$ posterior samples the importance-weighted bound comes closer to $\log p(x)$; the difference is what the Gaussian posterior gives away. Each number has its standard error over test images.

# %%
bounds = jaxvae.summarize(jaxvae.per_example(model, params, jax.random.key(1), x, samples=100))
for name, sign in (("elbo", -1), ("log_likelihood", -1), ("kl", 1), ("iwae", -1)):
    value = bounds[name]
    print(f"{'-' if sign < 0 else ' '}{name:<16}{sign * value.mean:8.2f} +- {value.standard_error:.2f} nats")

# %% [markdown]
# ## Next
#
# - More latents make sharper digits: set `latent_dim=8` in both lines above, and look at `plots.traversals`.
# - The same training as a run that is saved and can be resumed: `python -m experiments.train digits`.
# - Your own network goes in the place of `MLPEncoder`: anything with `.init(key, x)` and `.apply(variables, x)` for one example.
