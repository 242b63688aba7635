# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · Diffusion: a VAE without end
#
# A hierarchical VAE has latents above latents. Let there be infinitely many, let the encoder do nothing but add noise, and
# what remains to be learned is one network that takes noise off. This notebook goes from the noise to the bound, checks the
# bound where the answer is known, and trains a small diffusion on digits. All numbers are in nats per example.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.evaluation.plots.figures import BLUE, INK, new_axes, style
from jaxvae.models import diffusion
from jaxvae.networks.denoisers import MLPDenoiser

key = jax.random.key(0)

# %% [markdown]
# ## Noise, more and more
#
# $q(z_t \mid x) = \mathcal N(\alpha_t x, \sigma_t^2 I)$ with $\alpha_t^2 + \sigma_t^2 = 1$. One number says how much:
# $\gamma = \log(\sigma^2 / \alpha^2)$, which rises from far below 0, the data, to above 0, noise alone.

# %%
train, test = jaxvae.data.load("digits"), jaxvae.data.load("digits", "test")
levels = 17  # grey levels that these digits have
x = np.round(train.images / 255 * (levels - 1)).astype(np.float32)
x_test = np.round(test.images / 255 * (levels - 1)).astype(np.float32)

schedule = diffusion.linear_schedule(-8.0, 5.0)
times = np.linspace(0, 1, 9).astype(np.float32)
rows = {}
for i in (0, 1, 2):
    data = 2 * x[i] / (levels - 1) - 1
    noisy = []
    for n, t in enumerate(times):
        gamma = schedule.gamma({}, t)
        noise = jax.random.normal(jax.random.fold_in(key, n), data.shape)
        noisy.append(diffusion.signal_scale(gamma) * data + diffusion.noise_scale(gamma) * noise)
    rows[f"digit {train.labels[i]}"] = np.clip((np.stack(noisy) + 1) / 2, 0, 1)
jaxvae.plots.compare(rows, columns=9, title="From data to noise, time 0 to 1")[0]

# %% [markdown]
# ## The bound, where the answer is known
#
# $$\log p(x) \ge \mathbb E \log p(x \mid z_0) - \mathrm{KL}(q(z_1 \mid x) \| \mathcal N(0, I))
# - \tfrac12\, \mathbb E\, \gamma'(t) |\epsilon - \hat\epsilon(z_t, \gamma)|^2.$$
#
# For a mixture of two Gaussians the best network has a closed form: $\hat\epsilon = -\sigma\, \partial \log q(z) / \partial z$.
# With it and without end of steps the bound is $\log p(x)$ itself.

# %%
weights, means, stds = np.array([0.3, 0.7]), np.array([-0.8, 0.6]), np.array([0.15, 0.4])


class Best(NamedTuple):
    """The best prediction of the noise for data of that mixture."""

    def init(self, key, z, gamma, context):
        return {}

    def apply(self, variables, z, gamma, context):
        def log_q(z):
            var = jax.nn.sigmoid(-gamma) * stds**2 + jax.nn.sigmoid(gamma)
            parts = jnp.log(weights / jnp.sqrt(var)) - 0.5 * (z - diffusion.signal_scale(gamma) * means) ** 2 / var
            return jax.nn.logsumexp(parts)

        return -diffusion.noise_scale(gamma) * jax.vmap(jax.grad(log_q))(z)


ends = diffusion.linear_schedule(-9.0, 7.0)
params, points = {"denoiser": {}}, np.array([[-0.9], [0.0], [1.1]], np.float32)
parts = np.log(weights / stds) - 0.5 * ((points - means) / stds) ** 2
exact = np.logaddexp.reduce(parts, 1) - 0.5 * np.log(2 * np.pi)
for steps in (10, 40, 160, None):
    model = diffusion.diffusion_model(
        Best(), jaxvae.normal("fixed", std=np.exp(-4.5)), ends, event_shape=(1,), prediction="noise", steps=steps
    )
    found = jaxvae.per_example(model, params, key, points, samples=5000)
    name = "no end of" if steps is None else f"{steps:3d}"
    print(f"{name} steps", found["elbo"].round(2), "+-", found["monte_carlo_error"].round(2))
print("log p(x)     ", exact.round(2))

# %% [markdown]
# Three habits that spoil such a number:
#
# | habit | right |
# |---|---|
# | $\lvert \epsilon - \hat\epsilon \rvert^2$ without its weight, printed as a likelihood | the weight is $\gamma'(t) / 2$; without it the loss trains well and bounds nothing |
# | $\log \frac1K \sum \exp$ of $K$ estimates, as a VAE's importance-weighted bound | only the mean of the estimates bounds $\log p(x)$ |
# | the reconstruction $\log p(x \mid z_0)$ left out, or of variance 1 | it has the noise at $t = 0$, and is part of the sum |

# %%
model = diffusion.diffusion_model(
    Best(), jaxvae.normal("fixed", std=np.exp(-4.5)), ends, event_shape=(1,), prediction="noise"
)
keys = jax.random.split(key, 5000)
estimates = jax.jit(jax.vmap(model.terms, (None, 0, None)))(params, keys, points[2]).log_weight
print(f"log p(x) {exact[2]:.2f}, the mean {estimates.mean():.2f}, a log-mean-exp {jaxvae.log_mean_exp(estimates):.2f}")
try:
    jaxvae.bound_loss(model, jaxvae.iwae_bound)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Digits
#
# The network below gives the chance of each of the 17 levels of a pixel by the rest of the picture; what the pixel's own
# noisy value says is added by Bayes' rule. The times of a batch are evenly spread, which halves the noise of the loss.

# %%
network = MLPDenoiser((8, 8, 1), channels=levels, hidden=(128, 128))
model = diffusion.diffusion_model(
    network, jaxvae.models.observations.categorical(levels), schedule, event_shape=(8, 8, 1), prediction="levels"
)
losses = []
params, history = jaxvae.fit(
    model,
    x,
    loss=jaxvae.losses.even_times_loss(model),
    optimizer=jaxvae.make_optimizer("adam", 2e-3),
    epochs=40,
    batch_size=64,
    ema=0.995,
    progress=False,
)
figure, ax = new_axes(6.0, 3.0)
ax.plot([record["epoch"] for record in history], [-record["elbo"] for record in history], color=BLUE)
ax.axhline(64 * np.log(levels), color=INK, lw=1, ls=":")
style(ax, title="Minus the bound while it trains; dotted, all levels alike", x="epoch", y="nats")
figure

# %%
values = jaxvae.summarize(jaxvae.per_example(model, params, key, x_test, samples=20))
for name in ("elbo", "log_likelihood", "kl"):
    print(f"{name:15s} {values[name].mean:8.2f} +- {values[name].standard_error:.2f}")

# %% [markdown]
# Two draws on their way: what is noisy above, what the network sees in it below. Then three samplers from the same noise, and
# completions, which are an approximation.

# %%
z, seen = diffusion.denoising_path(diffusion.with_sampler(model, steps=40), params, key, 2, shown=10)
path = {f"{what} {i + 1}": (a[i] + 1) / 2 for i in range(2) for what, a in (("noisy", z), ("seen", seen))}
jaxvae.plots.compare({name: np.clip(images, 0, 1) for name, images in path.items()}, columns=10)[0]

# %%
drawn = {}
for method, steps in (("ancestral", 60), ("ddim", 20), ("flow", 8)):
    images = jaxvae.evaluation.latents.draw(diffusion.with_sampler(model, method, steps=steps), params, key, 12)
    drawn[f"{method}, {steps}"] = model.to_unit(images)
jaxvae.plots.compare(drawn, columns=12, title="Draws from the same noise")[0]

# %%
known = np.zeros((8, 8, 1), bool)
known[:4] = True
again = diffusion.inpaint(model, params, key, x_test[:12], known, steps=30, repeats=3)
rows = {"original": x_test[:12], "known": np.where(known, x_test[:12], 4), "drawn": again}
jaxvae.plots.compare({name: model.to_unit(images) for name, images in rows.items()}, columns=12)[0]

# %% [markdown]
# A run does the same from the command line and keeps all of it: `python -m experiments.train digits --data.levels 17
# --model.kind diffusion --model.prediction levels`, then `python -m experiments.diffusion RUN`. A U-Net
# (`--model.network conv`) sees the neighbours of a pixel and is thirteen nats better.
