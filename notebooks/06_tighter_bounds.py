# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6 · Tighter bounds and honest likelihoods
#
# The ELBO says two things at once: how well the model explains the data, and how well the encoder explains the model.
# To compare two models one wants the first alone, $\log p(x)$. This notebook climbs from the ELBO towards it, checks
# each rung on a model whose $\log p(x)$ is known exactly, and then measures a trained model from both sides.
#
# Everything is in nats per image and has its standard error beside it.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.evaluation.annealing import annealed
from jaxvae.evaluation.local import gaps
from jaxvae.evaluation.plots.figures import BLUE, INK, SMALL, new_axes, style

# %% [markdown]
# ## A model with a known answer
#
# In the linear-Gaussian VAE, $z \sim \mathcal N(0, I)$ and $x \mid z \sim \mathcal N(Wz, \sigma^2 I)$, the evidence is
# $\log \mathcal N(x; 0, WW^\top + \sigma^2 I)$ and the exact posterior is Gaussian. We spoil the encoder on purpose and
# watch what the bounds make of it. With $K$ samples $z_k \sim q(z \mid x)$, the importance-weighted bound is
#
# $$\mathcal L_K = \mathbb E \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)},\qquad
# \text{ELBO} = \mathcal L_1 \le \mathcal L_2 \le \dots \le \log p(x).$$

# %%
weights = jax.random.normal(jax.random.key(0), (6, 2))
x = weights @ jnp.array([0.7, -1.2]) + 0.5 * jax.random.normal(jax.random.key(1), (6,))
covariance = np.float64(weights @ weights.T + 0.25 * jnp.eye(6))
truth = -0.5 * (6 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + x @ np.linalg.solve(covariance, x))

precision = np.linalg.inv(np.eye(2) + weights.T @ weights / 0.25)
mean, log_var = jnp.asarray(precision @ weights.T @ x / 0.25) + 0.15, jnp.log(1.5 * jnp.diag(precision))


def log_weight(key):
    """log p(x, z) - log q(z | x) for one draw of a q that is a little wrong."""
    z = jaxvae.reparameterize(key, mean, log_var)
    log_p = jaxvae.normal_log_prob(z, jnp.zeros(2), jnp.zeros(2)) + jaxvae.normal_log_prob(
        x, weights @ z, jnp.full(6, jnp.log(0.25))
    )
    return log_p - jaxvae.normal_log_prob(z, mean, log_var)


draws = jax.vmap(log_weight)(jax.random.split(jax.random.key(2), 200_000))
counts = [1, 2, 5, 10, 50, 200]
bounds = [jax.vmap(functools.partial(jaxvae.log_mean_exp, axis=0))(draws.reshape(-1, k)) for k in counts]
for k, bound in zip(counts, bounds, strict=True):
    error = bound.std() / np.sqrt(len(bound))
    print(f"K = {k:3d}   bound {bound.mean():.4f} +- {error:.4f}   gap to log p(x) {truth - bound.mean():.4f}")
print(f"log p(x)        {truth:.4f}, in closed form")

# %%
figure, axes = new_axes(6, 3.2)
means, errors = [b.mean() for b in bounds], [2 * b.std() / np.sqrt(len(b)) for b in bounds]
axes.axhline(truth, color=INK, linestyle="--", linewidth=1.2)
axes.annotate("log p(x)", (1, truth), (0, 4), textcoords="offset points", fontsize=SMALL)
axes.errorbar(counts, means, errors, marker="o", markersize=4, color=BLUE)
axes.set_xscale("log")
style(axes, title="The bound climbs to log p(x) with K", x="samples K", y="nats per example")
figure

# %% [markdown]
# Two ways to spoil this number are common in published code: the mean of the log-weights over $k$ in place of the log
# of their mean, which is the ELBO again however large $K$ is, and forgetting $1/K$, which adds $\log K$.

# %%
rows = draws.reshape(-1, 50)
right = jax.vmap(functools.partial(jaxvae.log_mean_exp, axis=0))(rows).mean()
print(f"log of the mean      {right:.3f}   (log p(x) is {truth:.3f})")
print(f"mean of the logs     {rows.mean():.3f}   the ELBO, whatever K")
print(f"log of the sum       {right + np.log(50):.3f}   above log p(x): no bound at all")

# %% [markdown]
# ## Training with the tighter bound
#
# The same networks, trained on the ELBO and on $\mathcal L_{10}$, both measured with the same 200 samples on the same
# test images. The second is trained with doubly reparameterised gradients (DReG): for many samples the plain gradient
# of the encoder drowns in its own noise.

# %%
train, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")
x_test = (np.asarray(test.images) > 127).astype(np.float32)


model = jaxvae.vae(
    jaxvae.MLPEncoder(latent_dim=8, hidden=(128,)),
    jaxvae.MLPDecoder((8, 8, 1), hidden=(128,)),
    event_shape=(8, 8, 1),
    latent_dim=8,
)
losses = {
    "ELBO": jaxvae.bound_loss(model, jaxvae.elbo),
    "IWAE, 10 samples, DReG": jaxvae.bound_loss(
        model, jaxvae.iwae_bound, samples=10, estimator=jaxvae.objectives.doubly_reparameterized
    ),
}
fitted = {
    name: jaxvae.fit(model, train.images, loss=loss, protocol="threshold", epochs=40, progress=False)[0]
    for name, loss in losses.items()
}
for name, params in fitted.items():
    found = jaxvae.summarize(jaxvae.per_example(model, params, jax.random.key(1), x_test, samples=200))
    print(f"trained on {name:<24}", end="")
    for which in ("elbo", "iwae"):
        print(f"  {which} {found[which].mean:7.2f} +- {found[which].standard_error:.2f}", end="")
    print()

# %% [markdown]
# Look at the two columns. The IWAE may lose on the ELBO and win on the likelihood: its encoder no longer has to cover
# the posterior with a single sample. Judge an IWAE by its own bound, or by $\log p(x)$, never by its ELBO.
#
# ## From both sides
#
# Importance sampling only ever errs downwards. Annealed importance sampling moves samples from $q$ to the posterior
# through a ladder of distributions; run backwards from a sample that is known to be exact, it bounds $\log p(x)$ from
# above. Such samples exist for images the model itself drew.

# %%
params = fitted["ELBO"]
drawn, z = annealed.ancestral_sample(model, params, jax.random.key(3), 20)
sides = annealed.annealed_bounds(model, params, jax.random.key(4), drawn, z, temperatures=200, chains=8)
for name, value in jaxvae.summarize({**sides, "upper - lower": sides["upper"] - sides["lower"]}).items():
    if name in ("lower", "upper", "upper - lower"):
        print(f"{name:<14}{value.mean:8.3f} +- {value.standard_error:.3f} nats")

# %% [markdown]
# ## Where the ELBO is lost
#
# $$\log p(x) - \text{ELBO}(q) = \underbrace{\log p(x) - \text{ELBO}(q^*)}_{\text{the family of } q}
# + \underbrace{\text{ELBO}(q^*) - \text{ELBO}(q)}_{\text{amortisation: one encoder for all } x}$$
#
# with $q^*$ the best Gaussian for this very image. If the first part is small, a richer posterior will not help; train
# the encoder longer, or make it larger.

# %%
parts = gaps.inference_gaps(model, params, jax.random.key(5), x_test[:100], samples=200, steps=200)
for name in ("approximation_gap", "amortisation_gap"):
    value = jaxvae.summarize(parts)[name]
    print(f"{name.replace('_', ' '):<20}{value.mean:6.3f} +- {value.standard_error:.3f} nats")

# %% [markdown]
# ## A number and its setting
#
# A likelihood without its setting cannot be compared: how pixels became $x$, which images, how many samples.
# `python -m experiments.evaluate RUN --samples 1 100 5000` prints all of it beside each number, with the hash of the
# binary test draw, and `python -m experiments.annealed RUN` does the same from both sides.
