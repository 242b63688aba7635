# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 · Conditional VAEs and arithmetic with codes
#
# A VAE draws *some* digit. A conditional VAE draws the digit one asks for: encoder and decoder are told the class $c$, and every formula gains a condition,
#
# $$\log p(x \mid c) \;\ge\; \mathbb{E}_{q(z \mid x, c)} \log p(x \mid z, c) \; - \; \mathrm{KL}\big(q(z \mid x, c) \,\|\, p(z)\big).$$
#
# Since the class is given, the code $z$ need not say it. It is left with everything else: the style. Here we ask for classes, carry a style from one class to another, walk between two codes, and calculate with codes.
#
# Each picture says what it shows: a *mean of x* is $\mathbb{E}[x \mid z, c]$, smooth by nature; a *draw of x* has the noise of the pixels too.

# %%
# %matplotlib inline
import jax
import numpy as np
from IPython.display import Image
from sklearn.svm import SVC

import jaxvae
from jaxvae.evaluation import latents, plots
from jaxvae.evaluation.latents import attributes, generation, swap_latents
from jaxvae.evaluation.plots import latent_grids, sliders

# %% [markdown]
# ## A model that is told the class
#
# `with_context` appends the class, as a one-hot vector, to what a network sees. Everything else is the VAE of notebook 3, with four latents.

# %%
train, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")
model = jaxvae.conditional_vae(
    jaxvae.with_context(jaxvae.MLPEncoder(latent_dim=4, hidden=(256,))),
    jaxvae.with_context(jaxvae.MLPDecoder((8, 8, 1), channels=2, hidden=(256,))),
    event_shape=(8, 8, 1),
    latent_dim=4,
    context=10,  # ten classes
    observation=jaxvae.discretized_logistic(),
)
params, history = jaxvae.fit(model, train.images, labels=train.labels, protocol="levels", epochs=120, progress=False)
print(f"-ELBO {-history[-1]['elbo']:.1f} nats per training image, of which KL {history[-1]['kl']:.1f}")

# %% [markdown]
# ## Ask for a class
#
# One row for each class. All rows use the same twelve draws $z \sim \mathcal N(0, I)$, so a column is one style in ten classes.

# %%
key = jax.random.key(0)
drawn = {str(c): model.to_unit(generation.prior_means(model, params, key, 12, context=c)) for c in range(10)}
figure, _ = plots.compare(drawn, title="Means of x: a class in each row, a style in each column")
figure

# %% [markdown]
# Does it draw what it was asked for? A judge that knows nothing of the model, a support vector machine on pixels, looks at 100 draws of x of each class.

# %%
judge = SVC(C=10.0).fit(train.images.reshape(len(train.images), -1) / 255, train.labels)
accuracy = judge.score(test.images.reshape(len(test.images), -1) / 255, test.labels)
print(f"the judge is right about {accuracy:.1%} of the {len(test.images)} test images")
asked = np.repeat(np.arange(10), 100)
draws = np.asarray(model.to_unit(generation.draw(model, params, jax.random.key(1), 1000, context=asked)))
right = judge.predict(draws.reshape(1000, -1)) == asked
print(f"and calls {right.mean():.1%} +- {right.std() / np.sqrt(1000):.1%} of the draws by the class that was asked for")
print("class by class:", "  ".join(f"{c}: {right[asked == c].mean():.0%}" for c in range(10)))

# %% [markdown]
# ## One style, ten classes
#
# Encode a test image with its own class, keep the code, and decode it with every class. Slant, width and curl of the original go with it.

# %%
x = test.images.astype(np.float32)  # the units of the likelihood: levels 0..255
labelled = jaxvae.Labelled(x[:7], test.labels[:7])
codes = latents.posterior_means(model, params, labelled)
every = swap_latents.across_contexts(model, params, codes, np.arange(10))
figure, _ = latent_grids.attribute_traversals(
    model.to_unit(every),
    np.arange(10),
    model.to_unit(x[:7]),
    title="Means of x: the style of the original in each class",
)
figure

# %% [markdown]
# ## Walk between two codes
#
# Two images of one class, and the line between their codes. Each step is a plausible digit of that class. A line cuts through the middle of the prior; `latents.spherical_path` goes round it.

# %%
first, second = np.array([np.flatnonzero(test.labels == c)[[0, 7]] for c in (2, 4, 7)]).T
ends = [jaxvae.Labelled(x[i], test.labels[i]) for i in (first, second)]
walks = generation.interpolate(model, params, *ends, 9)
figure, _ = plots.interpolations(
    *map(model.to_unit, (walks, x[first], x[second])), title="Means of x between two codes of one class"
)
figure

# %% [markdown]
# ## An attribute is a direction
#
# Take the codes of the images that have an attribute and of those that have not. The difference of the two means,
#
# $$d = \frac{1}{|A|} \sum_{i \in A} z_i - \frac{1}{|B|} \sum_{i \in B} z_i,$$
#
# points from one to the other, and $z + s\,d$ has more of the attribute the larger $s$ is. Our attribute is *slant*. It can be measured on pixels: the slope of the line through the ink, $-\mathrm{cov}(\text{column}, \text{row}) / \mathrm{var}(\text{row})$, positive for a digit that leans to the right. So the result can be checked.

# %%
rows, columns = np.mgrid[0:8, 0:8]


def slant(images):
    """Slope of the ink of images [..., 8, 8, 1], in columns per row; positive leans to the right."""
    ink = np.asarray(images, np.float64)[..., 0]
    ink = ink / ink.sum((-1, -2), keepdims=True)
    row, column = ((ink * axis).sum((-1, -2), keepdims=True) for axis in (rows, columns))
    return -(ink * (rows - row) * (columns - column)).sum((-1, -2)) / (ink * (rows - row) ** 2).sum((-1, -2))


measured = slant(train.images)
typical = np.array([np.median(measured[train.labels == c]) for c in range(10)])
leans = measured > typical[train.labels]  # more than is usual for its class
everyone = jaxvae.Labelled(train.images.astype(np.float32), train.labels)
direction = attributes.attribute_vector(latents.posterior_means(model, params, everyone), leans)
print("direction", direction.round(2))

# %%
strengths = [-3, -2, -1, 0, 1, 2, 3]
whole = jaxvae.Labelled(x, test.labels)
moved = swap_latents.resynthesize(
    model, params, whole, lambda z: attributes.traverse_attribute(z, direction, strengths)
)
moved = np.asarray(model.to_unit(moved))
found = slant(moved)
figure, _ = latent_grids.attribute_traversals(
    moved[:6],
    strengths,
    model.to_unit(x[:6]),
    [f"slant {value:.2f}".replace("-", "\N{MINUS SIGN}") for value in found.mean(0)],
    title="Means of x: test images made to lean; below, the mean slant of all of them",
)
figure

# %% [markdown]
# The direction came from all classes together, and it leans all of them, since these codes hold no class. The share of test images whose slant grows at every single step:

# %%
grows = (np.diff(found, axis=1) > 0).all(axis=1)
print(f"{grows.mean():.1%} of {len(grows)} test images")

# %% [markdown]
# ## Arithmetic: a - b + c
#
# The same thought with three codes. Let $a$ be the mean code of leaning digits of *nine* classes, $b$ that of those which lean least, and $c$ the mean code of the digits of the tenth class that lean least. Then $a - b$ is *leaning* without any other style, and $a - b + c$ should be a leaning digit of the tenth class, although nobody showed it one to lean by. Means of many codes take part, so that chance details cancel.

# %%
lean = np.zeros(len(measured), int)  # 1 for the quarter of a class that leans most to the right, -1 for the last one
for c in range(10):
    low, high = np.quantile(measured[train.labels == c], [0.25, 0.75])
    lean[train.labels == c] = np.digitize(measured[train.labels == c], [low, high]) - 1
means = latents.posterior_means(model, params, everyone)
least, leaning = [], []
for c in range(10):
    others, own = train.labels != c, train.labels == c
    code = means[own & (lean == -1)].mean(0)
    least.append(code)
    leaning.append(
        attributes.arithmetic(means[others & (lean == 1)].mean(0), means[others & (lean == -1)].mean(0), code)
    )
before, after = (
    np.asarray(model.to_unit(generation.decode(model, params, np.stack(z), context=np.arange(10))))
    for z in (least, leaning)
)
for name, images in (("c", before), ("a - b + c", after)):
    print(f"slant of {name:<10}", "  ".join(f"{value:+.2f}" for value in slant(images)))
figure, _ = plots.compare({"c": before, "a \N{MINUS SIGN} b + c": after}, title="Means of x: ten classes learn to lean")
figure

# %% [markdown]
# ## Turn the knobs yourself
#
# Each slider moves one latent, the menu changes the class. Run this notebook to use them; a stored page cannot show them.

# %%
controls = sliders(model, params, z=codes[0], contexts=range(10))
controls.widget

# %% [markdown]
# The program can move them too. Here it asks for a 7 whose last latent is 2, and this picture the page does keep:

# %%
controls.context.value = 7
controls.latents[3].value = 2.0
Image(data=controls.image.value)

# %% [markdown]
# ## Next
#
# - Classes without labels in training: `python -m experiments.attributes runs/digits --attribute 3:8` moves along the direction between two classes of an unconditional run, and asks a judge what has become of them.
# - Any array may be the condition, not only a class: `context=(3,)`.
