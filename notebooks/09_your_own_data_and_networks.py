# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9 · Your own data and your own networks
#
# Everything so far came with the library. Here each part is replaced by one of your own: the data, the two networks, the likelihood, the bound. A part is always a *function* or a *record of functions*; there is no class to inherit from and nothing to register.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image
from sklearn.datasets import load_digits, load_wine

import jaxvae
from jaxvae.evaluation import plots
from jaxvae.evaluation.latents import generation

# %% [markdown]
# ## Data: a NumPy array
#
# Any array of images will do: `[N, H, W]` or `[N, H, W, C]`, raw `uint8` or floats on $[0, 1]$. `from_array` checks it and makes it `uint8`.

# %%
pixels = load_digits().images  # floats 0..16
images = jaxvae.data.from_array(pixels / 16).images
print(pixels.shape, pixels.dtype, "->", images.shape, images.dtype)

# %% [markdown]
# What does not fit is refused with a sentence that says how to mend it:

# %%
try:
    jaxvae.data.from_array(pixels)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Data: a folder of pictures
#
# A folder is a data set, too; sub-folders are its classes. Part of it is held out for testing. (The command line takes the same path: `--data.name my/pictures`.)

# %%
with tempfile.TemporaryDirectory() as folder:
    for i in range(60):
        path = Path(folder) / ("tall" if i % 2 else "wide") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        shape = np.zeros((16, 16), np.uint8)
        shape[(slice(2, 14), slice(5, 5 + i // 8 + 1)) if i % 2 else (slice(5, 5 + i // 8 + 1), slice(2, 14))] = 255
        Image.fromarray(shape).save(path)
    own = jaxvae.data.load(folder, "train", test_fraction=0.2)
print(own.images.shape, "labels", np.unique(own.labels))
plots.image_grid(own.images[::2], columns=12, title="Pictures from a folder")[0]

# %% [markdown]
# ## Networks: your own Flax module
#
# A network sees **one example** and knows nothing of batches; the library vectorises it. An encoder returns a mean and a log-variance $[Z]$; a decoder returns unconstrained numbers in the shape of the image, and the likelihood turns them into probabilities.


# %%
class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x):  # [8, 8, 1]
        rows = nn.tanh(nn.Dense(8)(x[..., 0]))  # each row of pixels by itself, then all together
        hidden = nn.tanh(nn.Dense(64)(rows.reshape(-1)))
        return nn.Dense(4)(hidden), nn.Dense(4)(hidden)


class Decoder(nn.Module):
    @nn.compact
    def __call__(self, z):  # [4]
        return nn.Dense(64)(nn.tanh(nn.Dense(64)(z))).reshape(8, 8, 1)


shape = {"event_shape": (8, 8, 1), "latent_dim": 4}
model = jaxvae.vae(Encoder(), Decoder(), **shape)
params, history = jaxvae.fit(model, images, epochs=30, progress=False)
print(f"-ELBO {-history[0]['elbo']:.1f} -> {-history[-1]['elbo']:.1f} nats per image")

# %%
x = images[:12] / np.float32(255)
seen = generation.reconstructions(model, params, x)
plots.reconstructions(x, seen, title="Through networks of one's own")[0]

# %% [markdown]
# ## Networks: an nnx module
#
# The same for Flax's newer interface: hand over a function that makes the module from its random-number streams.


# %%
class NnxDecoder(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.out = nnx.Linear(4, 64, rngs=rngs), nnx.Linear(64, 64, rngs=rngs)

    def __call__(self, z):
        return self.out(nnx.tanh(self.hidden(z))).reshape(8, 8, 1)


from jaxvae.networks.nnx import from_nnx

mixed = jaxvae.vae(Encoder(), from_nnx(lambda rngs: NnxDecoder(rngs)), **shape)  # one network of each kind
_, history = jaxvae.fit(mixed, images, epochs=30, progress=False)
print(f"-ELBO {-history[0]['elbo']:.1f} -> {-history[-1]['elbo']:.1f} nats per image")

# %% [markdown]
# Nor need it be Flax at all: anything with `.init(key, *inputs)` and `.apply(variables, *inputs)` is a network.
#
# ## A likelihood of your own
#
# Some pixels are far off, and a Gaussian pays the square of the distance. Student's $t$ with 3 degrees of freedom has heavy tails and forgives them:
#
# $$\log p(x \mid \mu) = \log \frac{2}{\sqrt{3}\,\pi s} - 2 \log\Big(1 + \frac{(x - \mu)^2}{3 s^2}\Big), \qquad s = 0.1.$$


# %%
def student(scale=0.1):
    def log_prob(params, x, outputs):
        constant = jnp.log(2 / (jnp.sqrt(3.0) * jnp.pi * scale))
        return jnp.sum(constant - 2 * jnp.log1p((x - outputs) ** 2 / (3 * scale**2)))

    def sample(params, key, outputs):
        return outputs + scale * jax.random.t(key, 3.0, outputs.shape)

    def mean(params, outputs):
        return outputs

    normal = jaxvae.normal()  # what it accepts and how it is shown is as for a Gaussian
    return normal._replace(name="student", init=dict, log_prob=log_prob, sample=sample, mean=mean)


# %% [markdown]
# A density must integrate to one. A sum over a fine grid is enough to find a forgotten constant:

# %%
grid = jnp.linspace(-30, 30, 600_001)
density = jax.vmap(lambda value: jnp.exp(student().log_prob({}, value, jnp.float32(0.3))))(grid)
integral = np.trapezoid(np.asarray(density, np.float64), np.asarray(grid, np.float64))
print(f"integral {integral:.4f}")

# %%
robust = jaxvae.vae(Encoder(), Decoder(), observation=student(), **shape)
params, history = jaxvae.fit(robust, images, protocol="grey", epochs=30, progress=False)
print(f"-ELBO {-history[0]['elbo']:.1f} -> {-history[-1]['elbo']:.1f} nats per image (a density: it may be negative)")

# %% [markdown]
# ## A bound of your own
#
# An objective is a function of `Terms`: the log-likelihood, the KL of each latent, the sample. Let latent number $l$ pay for its KL with a weight that grows with $l$:
#
# $$\mathbb{E}_q \log p(x \mid z) - \sum_l w_l \, \mathrm{KL}_l, \qquad w = (1, \tfrac{5}{3}, \tfrac{7}{3}, 3).$$
#
# With every $w_l \ge 1$ it is below the ELBO, so still a bound on $\log p(x)$; and what matters most should move into the first, cheapest latents.


# %%
def ordered(terms):
    return (terms.log_likelihood - (jnp.linspace(1.0, 3.0, 4) * terms.kl).sum(-1)).mean()


_, history = jaxvae.fit(model, images, loss=jaxvae.bound_loss(model, ordered), epochs=40, progress=False)
kl = np.array(history[-1]["kl_per_latent"])
print("nats in each latent, in their order:", kl.round(2))
plots.kl_per_latent(kl, title="The first latents are the cheapest")[0]

# %% [markdown]
# ## A table, in scikit-learn's way
#
# For rows of numbers there is an estimator: it standardises the columns, transforms rows into posterior means, and fits into pipelines and searches. Its score is a lower bound on $\log p(x)$ in nats per row, so models of different size can be compared.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from jaxvae.sklearn import VAE

rows, cultivar = load_wine(return_X_y=True)
pipeline = make_pipeline(VAE(latent_dim=2, random_state=0), LogisticRegression())
accuracy = cross_val_score(pipeline, rows, cultivar, cv=3)
print(f"{rows.shape[1]} columns in 2 latents, then a linear classifier: {accuracy.mean():.2f} accuracy")

# %%
sizes = [(), (16,), (64,)]  # () is linear: probabilistic PCA
search = GridSearchCV(VAE(random_state=0), {"hidden": sizes}, cv=KFold(3, shuffle=True, random_state=0)).fit(rows)
for hidden, score in zip(sizes, search.cv_results_["mean_test_score"], strict=True):
    print(f"hidden {hidden!s:6}: log p(x) is at least {score:.2f} nats per row on held-out wines")

# %% [markdown]
# In each fold 119 wines are left to learn from. The score on held-out rows says how large a network they can feed; the one on training rows would always ask for more. (The table is sorted by cultivar, so the folds are shuffled.)
#
# ## Where to go on
#
# - `jaxvae.bound_loss`, `jaxvae.training.make_step` and `jaxvae.compile_steps` are what `fit` is made of.
# - A module of your own with `load(split) -> Dataset` is a data set of the command line: `--data.name package.module`.
# - Before you believe a new likelihood or bound: integrate it, compare it with a closed form where there is one, and try it on data that you drew yourself.
