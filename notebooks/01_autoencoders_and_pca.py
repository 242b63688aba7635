# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Autoencoders and PCA
#
# An autoencoder squeezes $x$ through a short code $z$ and asks for $x$ back:
#
# $$z = \text{encoder}(x), \qquad x' = \text{decoder}(z), \qquad \text{minimise } |x - x'|^2 .$$
#
# If both halves are linear this is principal component analysis. If they are networks the code can follow a curve. What no autoencoder promises is that a code *between* two others means anything; that is where the VAE begins.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import jaxvae
from jaxvae.evaluation import plots
from jaxvae.evaluation.latents import generation
from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.plots.figures import BLUE, ORANGE, new_axes, style

# %% [markdown]
# ## Five points
#
# Five points in the plane, and one number for each. PCA takes the axis along which the points vary most; the code of a point is its coordinate along that axis, and its reconstruction is the nearest point of the axis.

# %%
points = np.array([[-0.50, -0.40], [-0.40, -0.10], [0.10, 0.00], [0.30, 0.30], [0.50, 0.20]])
pca = PCA(1).fit(points)
axis = pca.components_[0] * np.sign(pca.components_[0].sum())
codes = (points - points.mean(0)) @ axis
again = points.mean(0) + codes[:, None] * axis
print("     point          code     reconstruction")
for point, code, back in zip(points, codes, again, strict=True):
    print(f"({point[0]:5.2f}, {point[1]:5.2f})   {code:6.2f}    ({back[0]:5.2f}, {back[1]:5.2f})")
print(f"axis ({axis[0]:.3f}, {axis[1]:.3f}); squared error {((points - again) ** 2).sum(1).mean():.4f} a point")
figure, ax = new_axes(5.0, 3.6)
ends = points.mean(0) + np.array([[-0.75], [0.75]]) * axis
ax.plot(*ends.T, color=ORANGE, linewidth=1.5)
for point, back in zip(points, again, strict=True):
    ax.plot(*np.stack([point, back]).T, color="#94a4a2", linewidth=1)
ax.plot(*points.T, "o", color=BLUE, label="points")
ax.plot(*again.T, "o", color=ORANGE, markersize=4, label="reconstructions, on the axis")
ax.set_aspect("equal")
ax.legend(fontsize=8, frameon=False)
style(ax, title="The best one-number code that is linear", x="x[0]", y="x[1]")
figure

# %% [markdown]
# ## A linear autoencoder finds the same subspace
#
# Now the 8x8 digits: 64 pixels, 4 numbers. One autoencoder has no hidden layer and no nonlinearity. Gradient descent knows nothing of eigenvectors, yet ends in the plane that PCA computes: the largest angle between the two subspaces tells. (The single axes may differ: any invertible map of the code can be undone by the decoder.)

# %%
train, test = jaxvae.data.load("digits", "train"), jaxvae.data.load("digits", "test")
seen, unseen = (np.float32(part.images) / np.float32(255) for part in (train, test))


def fit(
    latents, hidden=(256,), images=train.images, make=jaxvae.autoencoder, lr=1e-3, epochs=120, decay=0.0, **options
):
    """An autoencoder of the digits and its parameters."""
    model = make(
        jaxvae.MLPDeterministicEncoder(latents, hidden),
        jaxvae.MLPDecoder((8, 8, 1), hidden=hidden),
        event_shape=(8, 8, 1),
        latent_dim=latents,
        observation=jaxvae.normal(std=0.2),
        **options,
    )
    steps = epochs * (len(images) // 50)
    rate = jaxvae.training.learning_rate_schedule("cosine", lr, steps)
    optimizer = jaxvae.make_optimizer("adamw", rate, weight_decay=decay)
    trained = jaxvae.fit(
        model, images, protocol="grey", optimizer=optimizer, epochs=epochs, batch_size=50, progress=False
    )
    return model, trained.params


def error(model, params, x):
    """Squared error an image, [N]."""
    return np.square(generation.reconstructions(model, params, x) - x).sum((1, 2, 3))


linear = fit(4, hidden=(), lr=5e-3, epochs=200)
best = PCA(4).fit(seen.reshape(-1, 64))
pca_error = np.square(best.inverse_transform(best.transform(seen.reshape(-1, 64))) - seen.reshape(-1, 64)).sum(1)
learned = np.linalg.qr(np.float64(linear[1]["decoder"]["params"]["Dense_0"]["kernel"]).T)[0]
cosines = np.linalg.svd(learned.T @ best.components_.T)[1]
print(f"squared error of a training digit: PCA {pca_error.mean():.4f}, autoencoder {error(*linear, seen).mean():.4f}")
print(f"largest angle between the two subspaces: {np.degrees(np.arccos(min(cosines.min(), 1))):.2f} degrees")

# %% [markdown]
# ## Deep: the code may follow a curve
#
# With hidden layers the same 2 numbers, or 5, say more. Errors are on digits that training never saw, with their standard errors.

# %%
print("numbers in the code         PCA            deep autoencoder")
rows, deep = {"original": unseen[:12]}, {}
for latents in (2, 5):
    deep[latents] = fit(latents)
    axes = PCA(latents).fit(seen.reshape(-1, 64))
    flat = axes.inverse_transform(axes.transform(unseen.reshape(-1, 64))).reshape(unseen.shape)
    rows |= {f"PCA, {latents}": flat[:12], f"deep, {latents}": generation.reconstructions(*deep[latents], unseen[:12])}
    for_pca, for_deep = np.square(flat - unseen).sum((1, 2, 3)), error(*deep[latents], unseen)
    cells = [f"{part.mean():.2f} +- {part.std(ddof=1) / len(part) ** 0.5:.2f}" for part in (for_pca, for_deep)]
    print(f"{latents:>19}    {cells[0]:>14}    {cells[1]:>14}")
figure, _ = plots.compare(rows, title="Two numbers, five numbers")
figure

# %% [markdown]
# ### What a code is good for
#
# The code is also a set of *features*: a linear classifier reads the digit off the 5 numbers, which the autoencoder found without seeing a label.


# %%
def code_of(pair, x):
    """Codes [N, Z]."""
    model, params = pair
    return np.asarray(jax.jit(jax.vmap(model.posterior.mean, (None, 0)))(params, jnp.asarray(x)))


five = PCA(5).fit(seen.reshape(-1, 64))
features = {
    "5 numbers of PCA": [five.transform(part.reshape(-1, 64)) for part in (seen, unseen)],
    "5 numbers of the autoencoder": [code_of(deep[5], part) for part in (seen, unseen)],
    "all 64 pixels": [part.reshape(-1, 64) for part in (seen, unseen)],
}
for name, (inside, outside) in features.items():
    scale = inside.std()
    right = LogisticRegression(max_iter=2000).fit(inside / scale, train.labels).predict(outside / scale) == test.labels
    print(f"{name:<29} {100 * right.mean():.1f} +- {100 * right.std() / len(right) ** 0.5:.1f} % right")

# %% [markdown]
# ## The memorising extreme
#
# A code of 16 numbers and wide layers, but only 50 digits to learn from. The error on those falls towards nothing, the error on others does not: the network has learned a list, not digits.

# %%
memory = fit(16, hidden=(256, 256), images=train.images[:50], epochs=800)
print(f"squared error: seen {error(*memory, seen[:50]).mean():.4f}, unseen {error(*memory, unseen).mean():.3f}")

# %% [markdown]
# ## Sparse: many numbers, few of them in use
#
# A *sparse* autoencoder has a long code and pays for every unit of it: $\lambda \sum_j |z_j|$. Each image then uses only some of the numbers. How many? The ratio $(\sum_j |z_j|)^2 / \sum_j z_j^2$ is 32 where all 32 are equally large, and 1 where a single one speaks. (Weight decay keeps the decoder from growing while the code shrinks.)

# %%
print("price of |z|    squared error    numbers in use, of 32")
for weight in (0.0, 20.0):
    sparse = fit(
        32, hidden=(128,), epochs=60, decay=1e-2, make=jaxvae.models.autoencoders.sparse_autoencoder, weight=weight
    )
    size = np.abs(code_of(sparse, unseen))
    used = size.sum(1) ** 2 / np.square(size).sum(1)
    errors = error(*sparse, unseen)
    print(f"{weight:12.1f}    {errors.mean():13.3f}    {used.mean():10.1f} +- {used.std() / len(used) ** 0.5:.1f}")

# %% [markdown]
# ## Denoising: corrupted in, clean out
#
# A *denoising* autoencoder sees $\tilde x = x + \text{noise}$ and must return $x$. It cannot copy its input any more; it has to know what digits look like. Left alone, a plain autoencoder passes part of the noise on.

# %%
noisy = unseen + np.float32(0.3) * np.random.default_rng(0).normal(size=unseen.shape).astype(np.float32)
plain = fit(16, epochs=80)
cleaner = fit(
    16,
    epochs=80,
    make=jaxvae.models.autoencoders.denoising_autoencoder,
    corruption=jaxvae.models.autoencoders.gaussian_noise(0.3),
)
rows = {"clean": unseen[:12], "corrupted": noisy[:12].clip(0, 1)}
print(f"squared error of the corrupted images themselves: {np.square(noisy - unseen).sum((1, 2, 3)).mean():.2f}")
for name, pair in {"plain": plain, "denoising": cleaner}.items():
    back = generation.reconstructions(*pair, noisy)
    rows[name] = back[:12].clip(0, 1)
    print(f"{name:>10} autoencoder: {np.square(back - unseen).sum((1, 2, 3)).mean():.2f}")
figure, _ = plots.compare(rows, title="Noise with a standard deviation of 0.3")
figure

# %% [markdown]
# ## Gaps
#
# Back to the autoencoder of two numbers. Here are the codes of the test digits. They lie where gradient descent happened to put them: clusters, tongues, and land where no digit lives. Nobody ever asked the decoder what belongs there.

# %%
model, params = deep[2]
z = code_of(deep[2], unseen)
figure, ax = plots.codes(z, test.labels, title="Codes of an autoencoder: the circles are a standard normal")
ax.patches[0].axes.figure.set_size_inches(5.2, 5.2)
figure

# %% [markdown]
# Decode a grid over the same square. Along the tongues there are digits; in the gaps there are smears and fragments. Then draw codes at random from a Gaussian with the mean and the covariance of the codes, and look at what comes out: *an autoencoder is no generative model.* Every draw is a decoded code all the same, and nothing says which ones to believe.

# %%
low, high = z.min(0), z.max(0)
across, up = np.meshgrid(np.linspace(low[0], high[0], 16), np.linspace(high[1], low[1], 16))
plane = decode(model, params, np.stack([across.ravel(), up.ravel()], 1).astype(np.float32))
figure, ax = plots.image_grid(plane.clip(0, 1), 16, title="The square of the codes, decoded")
ax.figure.set_size_inches(5.2, 5.4)
figure

# %%
nearest = np.sqrt(np.square(plane.reshape(-1, 1, 64) - seen.reshape(1, -1, 64)).sum(2).min(1))
rng = np.random.default_rng(1)
drawn = decode(model, params, rng.multivariate_normal(z.mean(0), np.cov(z.T), 18).astype(np.float32))
apart = np.sqrt(np.square(unseen.reshape(-1, 1, 64) - seen.reshape(1, -1, 64)).sum(2).min(1))
print(
    f"distance to the nearest training digit: test digits {apart.mean():.2f}, the decoded square {nearest.mean():.2f}"
)
figure, _ = plots.image_grid(drawn.clip(0, 1), 18, title="Codes drawn from a Gaussian fitted to the codes, decoded")
figure

# %% [markdown]
# ## Next
#
# - A VAE spreads every code into a small cloud and pays for moving the clouds away from $\mathcal{N}(0, I)$: that closes the gaps. Notebook 2 computes its objective by hand, notebook 3 trains one.
# - At full length: `python -m experiments.linear_autoencoder`, `python -m experiments.code_size`, `python -m experiments.memorization`, and the three code spaces of `python -m experiments.triptych`.
