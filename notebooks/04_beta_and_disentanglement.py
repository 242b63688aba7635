# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · Beta and disentanglement
#
# The beta-VAE puts one number in front of the KL:
#
# $$\mathbb{E}_q[\log p(x \mid z)] \;-\; \beta\,\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big).$$
#
# It decides how many nats a code may cost. Too few and the decoder gets nothing; many and the code is whatever reconstructs best. In between something else can happen: single latents line up with single *factors* of the data. Here the factors are known, so all of this can be measured.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
import warnings

import jax
import numpy as np
from IPython.display import display

import jaxvae
from jaxvae.evaluation import disentanglement, plots
from jaxvae.evaluation.bounds.rates import rate_distortion
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.codes import encode, gaussian_quantiles
from jaxvae.evaluation.latents.collapse import CollapseWarning, collapse_warning, has_collapsed, latent_use
from jaxvae.evaluation.plots import rate_charts, score_charts

# %% [markdown]
# ## Pictures whose factors we know
#
# The library draws a shape for every combination of scale and position: 6 x 12 x 12 = 864 pictures, and that is *all* the data there is. Each picture comes with its factors. Factors that do not vary here (the shape, the turn) are left out: nothing can be learnt about them.

# %%
twelve = np.linspace(0, 1, 12)
data = jaxvae.data.load(
    "shapes",
    "all",
    size=16,
    shapes=["square"],
    scales=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    orientations=[0.0],
    columns=twelve,
    rows=twelve,
)
names, factors = ["scale", "x", "y"], data.factors[:, [1, 3, 4]]
x = (data.images >= 128).astype(np.float32)
figure, _ = plots.image_grid(x[::36], columns=12, title="Every 36th picture")
figure

# %% [markdown]
# ## One model, four betas
#
# The same small network, trained with four weights of the KL.

# %%
model = jaxvae.vae(
    jaxvae.MLPEncoder(5, (128, 128)),
    jaxvae.MLPDecoder((16, 16, 1), hidden=(128, 128)),
    event_shape=(16, 16, 1),
    latent_dim=5,
)
betas = [0.1, 1.0, 8.0, 16.0]
with warnings.catch_warnings(action="ignore", category=CollapseWarning):  # below we look at who collapsed
    trained = {
        beta: jaxvae.fit(
            model,
            data.images,
            protocol="threshold",
            loss=jaxvae.bound_loss(model, jaxvae.elbo, beta=beta),
            epochs=150,
            batch_size=48,
            progress=False,
        )
        for beta in betas
    }

# %% [markdown]
# ## Rate and distortion
#
# Read the two terms as a channel. The **rate** $R = \mathbb{E}\,\mathrm{KL}(q(z \mid x) \,\|\, p(z))$ is what a code costs, the **distortion** $D = -\mathbb{E}\log p(x \mid z)$ what is still missing when one has it. Minus the ELBO is their sum, so models of equal ELBO lie on a line of slope $-1$. Only $\beta = 1$ asks for the lowest line; another $\beta$ asks for another slope.
#
# The rate itself has two parts,
#
# $$R = I(x; z) + \mathrm{KL}\big(q(z)\,\|\,p(z)\big), \qquad q(z) = \tfrac1N \textstyle\sum_n q(z \mid x_n):$$
#
# what the code *tells* of $x$, and how far the codes as a whole are from the prior. The mixture $q(z)$ is summed over all 864 pictures, so $I$ is exact up to its draws. It cannot exceed $\log 864 = 6.76$ nats, and here that is no limit of the method: there is no more to know.

# %%
points = {beta: rate_distortion(model, fit.params, jax.random.key(0), x) for beta, fit in trained.items()}
print(" beta     rate   distortion   -ELBO   I(x; z)   KL(q(z) | p(z))   active latents")
for beta, point in points.items():
    numbers = (point.rate, point.distortion, point.negative_elbo, point.information, point.marginal_kl)
    rate, distortion, total, told, marginal = (number.mean for number in numbers)
    print(
        f"{beta:5g}  {rate:7.2f}   {distortion:10.2f} {total:7.2f}   {told:7.2f}   {marginal:15.2f}   {point.active_units:6d} of 5"
    )
figure, _ = rate_charts.rate_distortion_curve(
    [point.rate.mean for point in points.values()],
    [point.distortion.mean for point in points.values()],
    [f"β = {beta:g}" for beta in betas],
    entropy=float(np.log(len(x))),
)
figure

# %% [markdown]
# With $\beta = 0.1$ the rate is far above what the pictures hold: the surplus is distance from the prior, and draws from the prior will not look like data. With $\beta = 16$ the code costs nothing and tells nothing.
#
# ## Posterior collapse
#
# That last case has a name. The encoder gives every picture the same posterior, the prior, and the decoder answers with the average picture. A run folder's log warns of it after the first epoch; the same words are at hand here.

# %%
for beta in (8.0, 16.0):
    kl = np.array(trained[beta].history[-1]["kl_per_latent"])
    use = latent_use(model, trained[beta].params, kl, x)
    print(
        f"beta = {beta:g}:",
        collapse_warning(use, beta=beta) if has_collapsed(use) else f"{use.active.sum()} of 5 latents in use",
    )

# %% [markdown]
# The history of a run shows when each latent came to life, or that it never did.

# %%
figure, _ = rate_charts.kl_over_training(trained[8.0].history)
figure

# %% [markdown]
# ## What do single latents do?
#
# Move one latent and hold the others, for $\beta = 1$ and for $\beta = 8$. With $\beta = 1$ a latent moves several things at once. With $\beta = 8$ two latents are left, one for the height and one for the side; the size was not worth its nats.

# %%
values = gaussian_quantiles(11)
codes = {beta: np.asarray(encode(model, trained[beta].params, x).mean) for beta in betas}
for beta in (1.0, 8.0):
    kl = np.array(trained[beta].history[-1]["kl_per_latent"])
    chosen = np.argsort(-kl)[: max(2, int((kl > 0.01).sum()))]
    middle = codes[beta][len(x) // 2]
    images = np.stack([generation.traverse(model, trained[beta].params, middle, int(z), values) for z in chosen])
    figure, _ = plots.traversals(
        images, [int(z) for z in chosen], values, kl[chosen], title=f"β = {beta:g}: one latent moves, the others stay"
    )
    display(figure)

# %% [markdown]
# ## Measuring it
#
# The **mutual information** of a latent and a factor says how much one tells of the other. A disentangled code has one dark cell in each column, and no second one.

# %%
for beta in (1.0, 8.0):
    table = disentanglement.information_matrix(codes[beta], factors)
    limits = np.log([len(np.unique(column)) for column in factors.T])
    figure, _ = score_charts.information_map(
        table, names, limits=limits, title=f"β = {beta:g}: nats that each latent tells of each factor"
    )
    display(figure)

# %% [markdown]
# Scores put that in a number. Before believing one, give it codes whose answer is known: the factors themselves, the factors *rotated* so that each latent mixes all of them, and noise. A rotated code holds all the information and none of it apart; a score of disentanglement must be low.

# %%
rng = np.random.default_rng(0)
standard = (factors - factors.mean(0)) / factors.std(0)
rotation = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.2], [0.3, 0.4, -1.0]]))[0]
known = {"the factors": standard, "rotated": standard @ rotation, "noise": rng.normal(size=(len(x), 3))}
known |= {f"β = {beta:g}": codes[beta] for beta in betas}
shown = ["beta_vae", "factor_vae", "mig", "sap", "dci_disentanglement", "modularity", "irs"]
scores = {name: disentanglement.disentanglement_scores(code, factors) for name, code in known.items()}
print(
    f"{'':12}"
    + "".join(
        f"{disentanglement.SCORES[name].replace(' disentanglement', ' D').replace(' score', ''):>12}" for name in shown
    )
)
for name, found in scores.items():
    print(f"{name:12}" + "".join(f"{found[key]:12.2f}" for key in shown))

# %% [markdown]
# Three things to notice.
#
# * The first row is 1 everywhere, and the rotated code falls; but not every score falls as far. The classifier of the beta-VAE score can undo much of a rotation: it calls even $\beta = 1$ perfect, whose latents were seen to move several things at once.
# * The scores do not agree on the models in between. One number alone is no finding.
# * Look at $\beta = 16$, the collapsed one: its scores are not zero! Its posterior means still move a very little from picture to picture, and bins of means see that, although the noise of the posterior drowns it. The unused latents of $\beta = 8$ show the same pale shades in the table above. The information of the *samples* tells the truth:

# %%
for beta in (8.0, 16.0):
    mean, log_var = encode(model, trained[beta].params, x)
    of_samples = disentanglement.posterior_information(jax.random.key(0), mean, log_var, factors, draws=800)
    of_means = disentanglement.information_matrix(mean, factors)
    print(
        f"beta = {beta:2g}: {of_means.sum():.2f} nats by bins of the means, {max(of_samples.sum(), 0):.2f} nats in the samples, all latents and factors added up"
    )

# %% [markdown]
# ## Things to try
#
# * `jaxvae.losses.tc_vae_loss(model, len(x), beta=8.0)` presses only on what ties latents together, not on what they tell.
# * `python -m experiments.disentanglement` trains four kinds of models with several strengths and seeds. Seeds often matter more than the kind of model.
# * With several seeds `disentanglement.unsupervised_ranking` needs no factors at all: it asks whether the models found the same latents.
