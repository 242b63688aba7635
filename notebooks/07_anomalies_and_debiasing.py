# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7 · Anomalies and debiasing
#
# A VAE learns what its training images look like. Two questions follow. **Is this image one of them?** A score has to say so, and the obvious score, the likelihood, can fail badly. **Are some of them rare?** The codes know, and training can draw those more often.
#
# It runs in about half a minute on two quiet cores and downloads nothing. Scores are in nats, and *higher is more anomalous* throughout.

# %%
# %matplotlib inline
import jax
import numpy as np

import jaxvae
from jaxvae.data import shapes
from jaxvae.evaluation import anomaly, plots
from jaxvae.evaluation.anomaly import detection_metrics
from jaxvae.evaluation.latents import generation, rarity
from jaxvae.evaluation.plots import detection_charts
from jaxvae.evaluation.probes import groups
from jaxvae.models.players.critic import with_critic
from jaxvae.training.losses.supervised import supervised_loss

digits, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")

# %% [markdown]
# ## Inliers and outliers
#
# Digits are normal; generated squares, ellipses and hearts are not. Nobody could confuse them.

# %%
outliers = shapes.load("test", size=8).images[:200]
inliers = test.images[:200]
rows = {"inliers": inliers[:16] / 255, "outliers": outliers[:16] / 255}
figure, _ = plots.compare(rows, columns=16, title="Digits are normal, shapes are not")
figure

# %%
model = jaxvae.vae(
    jaxvae.MLPEncoder(latent_dim=8, hidden=(128,)),
    jaxvae.MLPDecoder((8, 8, 1), channels=2, hidden=(128,)),
    event_shape=(8, 8, 1),
    latent_dim=8,
    observation=jaxvae.discretized_logistic(),  # grey levels 0..255
)
params, history = jaxvae.fit(model, digits.images, protocol="levels", epochs=60, progress=False)
print(f"-ELBO {-history[-1]['elbo']:.0f} nats a digit after {history[-1]['epoch']} epochs")

# %% [markdown]
# ## Scores
#
# `anomaly_scores` gives all of them at once.
#
# * $-\mathrm{ELBO}(x)$, a stand-in for $-\log p(x)$, and its two parts: the reconstruction $-\mathbb{E}_q \log p(x \mid z)$ and the KL.
# * The squared error of the reconstruction.
# * **Likelihood regret**: how much better a posterior fitted to this very image would do than the encoder's, $\max_q \mathrm{ELBO}(x, q) - \mathrm{ELBO}(x, q(z \mid x))$.
# * **Typicality**: $|{-\log p(x)} - H|$, with $H$ the training mean. An image can be suspiciously *likely*, too.
# * **Complexity ratio**: $-\log p(x) - L(x)$, where $L(x)$ is the length of the image as a compressed PNG file, in nats. Simple images are likely under any model; this takes it off.

# %%
key = jax.random.key(1)
known = digits.images[:300].astype(np.float32)
scored = [
    anomaly.anomaly_scores(model, params, key, images.astype(np.float32), training=known, regret_steps=30)
    for images in (inliers, outliers)
]
pairs = {name: (scored[0][name], scored[1][name]) for name in scored[0]}
for name, pair in pairs.items():
    area = detection_metrics.detection(*pair, resamples=100).auroc
    print(f"{name:18} AUROC {area.value:.3f}  (95 % interval {area.low:.3f} to {area.high:.3f})")

# %% [markdown]
# The AUROC is the probability that an outlier gets the higher score: 1 is perfect, 1/2 is a coin, and **below 1/2 the score has it backwards**. So it is for $-\mathrm{ELBO}$: the model, which has never seen a shape, finds shapes *more* likely than digits. A shape is a patch of equal pixels and an empty rest; a decoder that allows for the many greys of handwriting has little trouble with either.

# %%
names = {
    "negative_elbo": "-ELBO",
    "squared_error": "squared error",
    "regret": "regret",
    "complexity_ratio": "complexity ratio",
}
shown = {label: pairs[name] for name, label in names.items()}
figure, _ = detection_charts.histogram_grid(shown, 2, names=("digits", "shapes"), title="What the scores see")
figure.set_dpi(80)
figure

# %%
figure, _ = detection_charts.roc_curves(shown)
figure.set_dpi(80)
figure

# %% [markdown]
# `simplicity`, $-L(x)$ alone, uses no model at all and separates the two perfectly. That is a warning, not a triumph: it would call every simple image an outlier, and it fails as soon as the outliers are the complex ones. Whoever reports a score should report such a baseline.
#
# Which digits does the model itself find odd?

# %%
order = np.argsort(-scored[0]["complexity_ratio"])
seen = model.to_unit(generation.reconstructions(model, params, inliers.astype(np.float32)))
rows = {}
for label, chosen in (("odd", order[:16]), ("plain", order[-16:])):
    rows[label] = inliers[chosen] / 255
    rows[f"{label}, reconstructed"] = np.asarray(seen[chosen])
figure, _ = plots.compare(rows, columns=16, title="The oddest and the plainest test digits, by complexity ratio")
figure

# %% [markdown]
# ## A rare group
#
# Now bias. Two in a hundred training images belong to a group of their own: here digits with black and white exchanged. A classifier reads the code of a VAE, and both are trained together:
#
# $$\text{loss} = -\mathrm{ELBO}(x) + \lambda \, \big({-\log p(\text{label} \mid z)}\big).$$
#
# Half of the test digits are inverted, so that what happens to the group can be measured.

# %%
rng = np.random.default_rng(0)
rare = rng.random(len(digits.images)) < 0.02
images = np.where(rare[:, None, None, None], 255 - digits.images, digits.images)
asked = np.arange(len(test.images)) % 2 == 0
questions = np.where(asked[:, None, None, None], 255 - test.images, test.images)
print(f"{rare.sum()} of {len(images)} training images are inverted")

# %% [markdown]
# The resampling of Amini et al. (2019) makes a histogram $Q_i$ of each latent's posterior means over the training images, and draws an image with probability
#
# $$W(x) \;\propto\; \prod_i \frac{1}{Q_i(z_i(x)) + \alpha},$$
#
# so that rare codes come up more often. It needs no label of the group. $\alpha$ tunes it: large is plain sampling; `at_least` raises it until the draws are worth a fifth of the images, so that no handful gets them all. `fit(weights=...)` takes any function of the parameters and asks it anew for every epoch.

# %%
classifier = jaxvae.networks.MLPClassifier(classes=10, hidden=(64,))
joint = jaxvae.vae(
    jaxvae.MLPEncoder(latent_dim=6, hidden=(128,)),
    jaxvae.MLPDecoder((8, 8, 1), hidden=(128,)),
    event_shape=(8, 8, 1),
    latent_dim=6,
)
joint = with_critic(joint, classifier, name="classifier")
resampler = rarity.latent_resampler(joint, images / np.float32(255), alpha=0.01, at_least=0.2)
options = {"labels": digits.labels, "protocol": "grey", "epochs": 20, "batch_size": 50, "progress": False}
options["loss"] = supervised_loss(joint, classifier, weight=20.0)

found = {}
for name, weights in (("plain", None), ("by rarity", resampler)):
    found[name], _ = jaxvae.fit(joint, images, weights=weights, **options)
    right = groups.predict(joint, classifier, found[name], questions / np.float32(255)) == test.labels
    result = groups.group_accuracy(right, np.where(asked, "inverted", "as they are"))
    cells = zip(result.groups, result.accuracy, result.standard_error, strict=True)
    print(f"{name:10}", "   ".join(f"{group}: {100 * a:.0f} ± {100 * e:.0f} %" for group, a, e in cells))

# %% [markdown]
# The group that plain sampling neglects gains, at the same number of steps; the others pay a little for it. Whom does the sampler favour?

# %%
weights = resampler(found["by rarity"])
order = np.argsort(-weights)
print(
    f"inverted: {rare.mean():.1%} of the images, {weights[rare].sum():.1%} of the draws; the weights sum to {weights.sum():.6f}"
)
print(f"the draws are worth {rarity.effective_examples(weights):.0f} different images of {len(images)}")
rows = {"most likely drawn": images[order[:16]] / 255, "least likely": images[order[-16:]] / 255}
figure, _ = plots.compare(rows, columns=16, title="Training digits by their probability to be drawn")
figure

# %% [markdown]
# Two cautions. A rare code need not be a neglected *group*: damaged images and wrong labels are rare as well, and get drawn more. And the product over many latents can give a handful of images nearly all of the draws: that is what `at_least` is for, and why the effective number above should be looked at.
#
# The same on Fashion-MNIST and MNIST: `python -m experiments.anomaly` and `python -m experiments.debiasing`.
