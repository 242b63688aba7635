# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14 · Two players: a model without a likelihood
#
# A GAN has a generator, which makes examples out of noise, and a critic, which is shown real and made examples and says which
# is which. No density is written down anywhere. This notebook checks what the best critic knows, plays on a ring of eight
# Gaussians where one can count what is missing, and then on digits.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxvae
from jaxvae.evaluation import samples
from jaxvae.evaluation.plots.figures import BLUE, INK, MUTED, style
from jaxvae.networks import MLPCritic
from jaxvae.objectives import minimax, non_saturating, relativistic

key = jax.random.key(0)

# %% [markdown]
# ## What the best critic knows
#
# $V(D) = \mathbb E_p \log D(x) + \mathbb E_q \log(1 - D(x))$ is highest for $D = p / (p + q)$, whose logit is $\log p(x) / q(x)$;
# there $V = 2\,\mathrm{JSD}(p, q) - \log 4$. Two Gaussians, by a fine grid and by the library's loss on samples:

# %%
grid = np.linspace(-8, 9, 20001)
log_p, log_q = (-0.5 * ((grid - m) / s) ** 2 - np.log(s * np.sqrt(2 * np.pi)) for m, s in ((0.0, 1.0), (1.5, 1.2)))
middle = np.logaddexp(log_p, log_q) - np.log(2)
jsd = 0.5 * np.trapezoid(np.exp(log_p) * (log_p - middle) + np.exp(log_q) * (log_q - middle), grid)


def logit(x):
    return -0.5 * x**2 + 0.5 * ((x - 1.5) / 1.2) ** 2 + np.log(1.2)


real = jax.random.normal(key, (200_000,))
made = 1.5 + 1.2 * jax.random.normal(jax.random.fold_in(key, 1), (200_000,))
print(f"2 JSD - log 4            {2 * jsd - np.log(4):.4f}")
print(f"value of the best critic {-minimax().critic(logit(real), logit(made)):.4f}")
print(f"of one that knows nothing {-minimax().critic(0 * real, 0 * made):.4f}")

# %% [markdown]
# The generator that meets a critic sure of itself learns nothing from the first loss: with logit $l$ of a made example its
# gradient is $-\sigma(l)$, and with the second loss, $-\log D$, it is $-\sigma(-l)$.

# %%
for sure in (0.0, -4.0, -8.0):
    slopes = [
        jax.grad(lambda x, game=game: game.generator(x[None]))(jnp.float32(sure))
        for game in (minimax(), non_saturating())
    ]
    print(f"logit {sure:4.0f}: minimax {slopes[0]:8.4f}, non-saturating {slopes[1]:8.4f}")

# %% [markdown]
# ## Eight Gaussians on a ring
#
# What a generator leaves out cannot be seen from what it draws. Here it can be counted. Both players are networks of two
# layers; the only difference between the pictures is how much Adam remembers of the gradients before, which were those of
# another critic.

# %%
angles = 2 * np.pi * np.arange(8) / 8
centres = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
draw = np.random.default_rng(0)
ring = (centres[draw.integers(0, 8, 12_800)] + 0.05 * draw.normal(size=(12_800, 2))).astype(np.float32)


def play(memory, game, penalty=0.0, epochs=15):
    critic = MLPCritic((64, 64))
    generator = jaxvae.MLPDecoder((2,), hidden=(64, 64))
    plain = jaxvae.gan(generator, event_shape=(2,), latent_dim=2, observation=jaxvae.normal())
    model = jaxvae.models.players.with_critic(plain, critic, sees="example")
    fast, slow = (jaxvae.make_optimizer("adam", rate, b1=memory) for rate in (1e-3, 1e-3 / 3))
    params, _ = jaxvae.fit(
        model,
        ring,
        loss=jaxvae.losses.gan_loss(model, critic, adversarial_loss=game, zero_centred_penalty_weight=penalty),
        optimizer=jaxvae.training.optimizer_by_part({"critic": fast}, slow),
        epochs=epochs,
        batch_size=128,
        progress=False,
    )
    return np.asarray(jaxvae.evaluation.latents.draw(model, params, key, 2000))


games = {
    "non-saturating, b1 0.9": play(0.9, non_saturating()),
    "non-saturating, b1 0": play(0.0, non_saturating()),
    "relativistic, R1 and R2, b1 0": play(0.0, relativistic(), 0.02),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, x) in zip(axes, games.items(), strict=True):
    apart = np.linalg.norm(x[:, None] - centres, axis=2)
    good = apart.min(1) < 0.15
    found = (np.bincount(apart.argmin(1)[good], minlength=8) > 2000 / 8 / 4).sum()
    ax.scatter(*ring[:1500].T, s=3, color=MUTED, alpha=0.3, linewidths=0)
    ax.scatter(*x[:1000].T, s=4, color=BLUE, alpha=0.5, linewidths=0)
    style(ax, title=f"{name}:\n{found} of 8 found, {good.mean():.0%} good")
    ax.set(aspect="equal", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), xticks=[], yticks=[])
    ax.grid(visible=False)

# %% [markdown]
# `python -m experiments.ring` plays six games with five seeds each in one compiled program.
#
# ## Digits, and a number that is not fooled
#
# A generator that draws one good digit for ever has a high *precision*: its draws lie near data. *Recall* and *coverage* ask
# the other way round, whether the data lie near draws, and come first.

# %%
train, test = jaxvae.data.load("digits"), jaxvae.data.load("digits", "test")
x = (train.images / 255).astype(np.float32)
critic = MLPCritic((128, 128))
generator = jaxvae.MLPDecoder((8, 8, 1), hidden=(128, 128))
model = jaxvae.models.players.with_critic(
    jaxvae.gan(generator, event_shape=(8, 8, 1), latent_dim=16), critic, sees="example"
)
adam = jaxvae.make_optimizer("adam", 1e-3, b1=0.0)
params, history = jaxvae.fit(
    model,
    x,
    loss=jaxvae.losses.gan_loss(model, critic, adversarial_loss=relativistic(), zero_centred_penalty_weight=0.1),
    optimizer=jaxvae.training.optimizer_by_part({"critic": jaxvae.make_optimizer("adam", 3e-4, b1=0.0)}, adam),
    epochs=150,
    batch_size=64,
    ema=0.99,
    progress=False,
)
drawn = np.asarray(jaxvae.evaluation.latents.draw(model, params, key, 297))
one_digit = np.clip(test.images[:1] / 255 + 0.02 * draw.normal(size=(297, 8, 8, 1)), 0, 1)
flat = {name: np.reshape(a, (297, 64)) for name, a in (("GAN", drawn), ("one digit, again and again", one_digit))}
for name, a in flat.items():
    precision, recall = samples.precision_recall(a, test.images.reshape(297, 64) / 255)
    density, coverage = samples.density_coverage(a, test.images.reshape(297, 64) / 255)
    print(f"{name:28s} recall {recall} coverage {coverage}; precision {precision}, density {density}")

# %%
jaxvae.plots.compare({"real": x[:14], "drawn": drawn[:14], "": drawn[14:28]}, columns=14)[0]

# %% [markdown]
# The losses say who is winning, not how good the pictures are: they neither fall nor tell.

# %%
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for part, colour in (("critic_loss", BLUE), ("generator_loss", INK)):
    ax.plot([record[part] for record in history], color=colour, lw=1, label=part.replace("_", " "))
ax.legend(frameon=False)
style(ax, title="Both losses while it trains", x="epoch", y="nats")

# %% [markdown]
# ## What it cannot do
#
# It has no likelihood and no codes, and says so rather than answering with something else.

# %%
try:
    jaxvae.per_example(model, params, key, x[:4])
except ValueError as error:
    print(error)

# %% [markdown]
# From the command line: `python -m experiments.train digits --model.kind gan --epochs 200` (all ten digits), `--model.kind
# class_gan` with a generator that is told which one, `--model.game` for the other games, and `python -m experiments.cycle` for
# two sets of pictures without pairs. `python -m experiments.scoreboard digits` sets a GAN beside models with a likelihood.
