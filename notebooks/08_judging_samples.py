# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8 · Judging samples
#
# A likelihood says how well a model explains data it has not seen. It does not say whether the model's *samples* are any good: a model can have a fine likelihood and poor samples, or the other way round (Theis et al., 2016, arXiv 1511.01844). This notebook measures samples themselves, and what codes are worth for other work.
#
# Three rules run through it:
#
# - a score is a distance between **two sets of samples**, so it has a standard error and depends on how many there are;
# - it is a distance **between features**, so it means nothing without the name of the network that made them;
# - real images against other real images give the **floor**: nobody can be expected to beat it.

# %%
# %matplotlib inline
import jax
import numpy as np

import jaxvae
from jaxvae.evaluation import plots
from jaxvae.evaluation.bounds.imputation import impute
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.codes import posterior_means
from jaxvae.evaluation.plots.probe_charts import label_curves
from jaxvae.evaluation.probes.probes import cluster, knn_probe, label_curve, linear_probe
from jaxvae.evaluation.samples.classifiers import classifier_features, train_classifier
from jaxvae.evaluation.samples.features import pixel_features
from jaxvae.evaluation.samples.frechet import frechet_distance, frechet_estimate, gaussian_distance
from jaxvae.evaluation.samples.inception import inception_score
from jaxvae.evaluation.samples.scores import sample_scores
from jaxvae.evaluation.samples.variety import collapse_in_words

train, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")
x, y = np.float32(train.images) / 255, np.float32(test.images) / 255

# %% [markdown]
# ## The Frechet distance is a distance of two Gaussians
#
# Fit a Gaussian to each set of features. The squared 2-Wasserstein distance of two Gaussians has a closed form,
#
# $$d^2 = \lVert \mu_a - \mu_b \rVert^2 + \operatorname{tr}\!\big(A + B - 2\,(A^{1/2} B A^{1/2})^{1/2}\big).$$
#
# (It is *squared*, and it is not the earth mover's distance, which is the 1-Wasserstein one.) For $\mu_a - \mu_b = (3, 4)$, $A = I$ and $B = 4 I$ it must be $25 + 2\,(2 - 1)^2 = 27$:

# %%
gaussian_distance(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), 4 * np.eye(2))

# %% [markdown]
# ## It is biased, and the bias falls as 1/N
#
# Both sets below come from *the same* distribution, so the right answer is 0. What comes out instead is all bias.

# %%
rng = np.random.default_rng(0)
for count in (100, 200, 400, 800):
    distances = [frechet_distance(*rng.normal(size=(2, count, 16))) for _ in range(10)]
    print(f"{count:4d} samples of 16 features: {np.mean(distances):.3f}   times N: {count * np.mean(distances):.0f}")

# %% [markdown]
# So two Frechet distances may be compared at **equal** numbers of samples only. `frechet_estimate` leaves out one block of samples after the other (the jackknife) and so tells the standard error, and how much of the value is bias.

# %%
found = frechet_estimate(*rng.normal(size=(2, 400, 16)))
print(f"{found.value:.3f} +- {found.standard_error:.3f}, estimated bias {found.bias:.3f}")

# %% [markdown]
# ## Two generators
#
# An autoencoder and a VAE with the same networks. To draw from either, a code $z$ is decoded. For the VAE $z \sim \mathcal{N}(0, I)$ is what it was trained for. For the autoencoder it is not: nothing ever told its encoder where codes should lie.

# %%
hidden, latents = (256,), 8
common = {"event_shape": (8, 8, 1), "latent_dim": latents}
vae = jaxvae.vae(
    jaxvae.MLPEncoder(latents, hidden),
    jaxvae.MLPDecoder((8, 8, 1), hidden=hidden),
    observation=jaxvae.normal("learned", std=0.2),
    **common,
)
autoencoder = jaxvae.autoencoder(
    jaxvae.MLPDeterministicEncoder(latents, hidden),
    jaxvae.MLPDecoder((8, 8, 1), hidden=hidden),
    observation=jaxvae.normal(std=0.2),
    **common,
)
vae_params, _ = jaxvae.fit(vae, train.images, protocol="grey", epochs=60, progress=False)
ae_params, _ = jaxvae.fit(autoencoder, train.images, protocol="grey", epochs=60, progress=False)

# %% [markdown]
# A density fitted to the autoencoder's codes afterwards makes a generator of it. Here it is a mixture of ten Gaussians (Ghosh et al., 2020, arXiv 1903.12436).

# %%
key = jax.random.key(0)
codes = jaxvae.evaluation.fitted_priors.draw_codes(autoencoder, ae_params, key, x)
priors = {
    "AE, N(0, I)": jaxvae.priors.standard_normal(latents),
    "AE, mixture": jaxvae.evaluation.fitted_priors.fit_gaussian_mixture(codes, 10),
}
samples = {"training images": x}
for name, prior in priors.items():
    samples[name] = generation.prior_means(jaxvae.with_prior(autoencoder, prior), ae_params, key, 1500).clip(0, 1)
samples["VAE, N(0, I)"] = generation.prior_means(vae, vae_params, key, 1500).clip(0, 1)
samples["noise"] = rng.uniform(size=x.shape)
figure, _ = plots.compare({name: images[:14] for name, images in samples.items()}, 14, title="Which would you keep?")
figure

# %% [markdown]
# ## Features from a classifier
#
# Published Frechet distances use a network trained on ImageNet. That is of little use for digits, so the library trains a small classifier on the data at hand. Its last hidden layer gives features, and its held-out accuracy is printed with every score.

# %%
classifier = train_classifier(train.images, train.labels, (test.images, test.labels), steps=400)
features = classifier_features(classifier, "classifier of digits")
scores = {name: sample_scores(images, y, features, names=(name, "test"), seed=0) for name, images in samples.items()}
print(scores["VAE, N(0, I)"][0], "\n")
for name, row in scores.items():
    print(f"{name:16}", "  ".join(f"{score.name.split()[0]} {score.number}" for score in row[:5] + row[7:]))

# %% [markdown]
# *Precision* is the part of the samples that lie where the data are, *recall* the part of the data that the samples reach (Kynkaanniemi et al., 2019, arXiv 1904.06991). *Density* and *coverage* (Naeem et al., 2020, arXiv 2002.09797) ask the same and mind outliers less. One number cannot tell blurred samples from samples that all look alike; two can.
#
# The same samples, seen as plain pixels: other numbers, and other ratios. **A score without its features is no score.**

# %%
for name, images in samples.items():
    print(f"{name:16}", sample_scores(images, y, pixel_features(), seed=0)[4].number)

# %% [markdown]
# ## What the Inception Score does not see
#
# $\exp\big(\mathbb{E}_x\,\mathrm{KL}(p(y \mid x)\,\|\,p(y))\big)$ is high where the classifier is sure of each sample and every class comes up. It never looks at data. Ten images, one of each class, copied 150 times over:

# %%
sure = classifier.probabilities(x)
best = [np.argmax(sure[:, digit]) for digit in range(10)]
cheat = np.tile(x[best], (150, 1, 1, 1))
print(f"ten images over and over: {inception_score(classifier.probabilities(cheat)).mean:.2f}")
print(f"held-out digits:          {inception_score(classifier.probabilities(y), splits=3).mean:.2f}")
ten = sample_scores(cheat, y, features, seed=0)
print("recall and coverage of the ten:", *(score.number for score in ten[:2]))
print("in words:", collapse_in_words(ten))

# %% [markdown]
# ## What codes are worth
#
# Codes learnt without labels can serve work that has few of them. A *linear probe* fits a logistic regression to them, *k-means* looks for classes without labels at all.

# %%
represented = {
    "8 codes": (posterior_means(vae, vae_params, x), posterior_means(vae, vae_params, y)),
    "64 pixels": (x.reshape(len(x), -1), y.reshape(len(y), -1)),
}
for name, (one, other) in represented.items():
    pair = (one, train.labels), (other, test.labels)
    probes, clusters = [linear_probe(*pair), knn_probe(*pair)], cluster(other, test.labels)
    words = [f"{probe.mean:.3f} +- {probe.standard_error:.3f}" for probe in probes]
    print(f"{name:9} linear {words[0]}, 5 nearest {words[1]}, NMI of k-means {clusters.nmi.value:.2f}")

# %%
curves = {
    name: label_curve(
        lambda rows, seed, one=one, other=other: (
            linear_probe((one[rows], train.labels[rows]), (other, test.labels)).mean
        ),
        train.labels,
        (10, 20, 50, 100, 300, 1000),
        seeds=5,
    )
    for name, (one, other) in represented.items()
}
figure, _ = label_curves(curves, title="Linear probes: accuracy as labels become fewer")
figure

# %% [markdown]
# ## Missing pixels
#
# A model of whole images also knows what is likely in a part that was never seen. Draw codes $z_k$ from what the encoder says of the rest, weigh each by how well it explains the observed pixels,
#
# $$w_k = \frac{p(x_\text{observed} \mid z_k)\, p(z_k)}{r(z_k)}, \qquad \mathbb{E}[x_\text{missing} \mid x_\text{observed}] \approx \frac{\sum_k w_k\, \mathbb{E}[x_\text{missing} \mid z_k]}{\sum_k w_k}$$
#
# (Mattei and Frellsen, 2019, arXiv 1812.02633), where $r$ is what the codes were drawn from.

# %%
seen = np.ones((8, 8, 1), bool)
seen[4:] = False
filled = impute(vae, vae_params, key, y[:14], seen, samples=1000, draws=2)
rows = {
    "image": y[:14],
    "seen": np.where(seen, y[:14], (0.25, 0.56, 0.85)),  # blue: missing
    "mean": filled.mean.clip(0, 1),
    "draw": filled.draws[:, 0].clip(0, 1),
    "another": filled.draws[:, 1].clip(0, 1),
}
rows = {name: np.broadcast_to(images, (14, 8, 8, 3)) for name, images in rows.items()}  # grey beside a colour
figure, _ = plots.compare(rows, 14, title="The lower half (blue) filled in")
figure

# %% [markdown]
# The mean is the best guess in squared error, and blurred where the missing half could be several digits. A draw commits itself to one of them. Of the 1000 samples few count where the visible half is a surprise to the model:

# %%
print("effective samples:", *(f"{count:.0f}" for count in filled.effective_samples))

# %% [markdown]
# ## On the command line
#
# ```
# python -m experiments.sample_quality runs/digits    # all scores of a run's samples, beside the floor
# python -m experiments.generation                    # autoencoder against VAE
# python -m experiments.downstream runs/digits        # probes, clusters, few labels
# python -m experiments.inpaint runs/digits           # missing pixels
# ```
