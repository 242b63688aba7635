# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Normalising flows
#
# A flow takes numbers $u$ whose density is simple and moves them by an invertible map, $v = f(u)$. Where the map stretches, the density thins out by just that much:
#
# $$\log p(v) = \log p(u) - \log \lvert \det \partial f / \partial u \rvert, \qquad u = f^{-1}(v).$$
#
# Nothing is bounded or sampled: the density of a point is exact. We begin with one number, go on to areas, and end with a flow trained on points in the plane. Where a slide of the lectures says something else, it stands beside.

# %%
# %matplotlib inline
import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae import flows
from jaxvae.evaluation.fitted_priors.maximum_likelihood import train_density
from jaxvae.evaluation.plots.figures import BLUE, ORANGE, new_axes, style

rng, key = np.random.default_rng(0), jax.random.key(0)

# %% [markdown]
# ## One number: Y = 2X + 1
#
# X is uniform on [0, 1]; Y is then spread over [1, 3], twice the length, and its density is one half. A `Bijection` is a record of three functions: `init` makes parameters, `forward` and `inverse` move a point and say the logarithm of how much they stretch.

# %%
double = flows.affine(1, scale=2.0, shift=1.0)
params = double.init(key, jnp.zeros(1), None)
y, log_stretch = double.forward(params, jnp.array([0.5]), None)
print(
    f"0.5 goes to {y[0]:.1f}; lengths grow by {jnp.exp(log_stretch):.1f}, so the density is {jnp.exp(-log_stretch):.1f}"
)

# %% [markdown]
# A map that bends stretches here more than there. $Y = e^X$ of a normal X has the log-normal density: the histogram of moved points against the formula, for both maps.

# %%
bend = flows.smooth_map(jnp.exp, jnp.log)
points = {"Y = 2X + 1": rng.random(20_000) * 2 + 1, "Y = exp(X)": np.exp(rng.normal(size=20_000))}
grids = {"Y = 2X + 1": np.linspace(0.5, 3.5, 400), "Y = exp(X)": np.linspace(0.01, 6, 400)}


def density(name, y):
    """p(y) by the change of variables."""
    flow, its = (double, params) if name == "Y = 2X + 1" else (bend, {})
    x, log_det = flow.inverse(its, y[None], None)
    inside = (x[0] >= 0) & (x[0] < 1)
    log_p = jnp.where(inside, 0.0, -jnp.inf) if flow is double else jax.scipy.stats.norm.logpdf(x[0])
    return jnp.exp(log_p + log_det)


figure, axes = new_axes(9.0, 2.8, columns=2)
for ax, (name, grid) in zip(axes, grids.items(), strict=True):
    ax.hist(points[name], 60, range=(grid[0], grid[-1]), density=True, color=BLUE, alpha=0.4)
    ax.plot(grid, jax.vmap(functools.partial(density, name))(jnp.float32(grid)), color=ORANGE)
    style(ax, title=name, x="y", y="density")
figure

# %% [markdown]
# ## Two numbers: areas
#
# A matrix moves the unit square to a parallelogram. Three things are easily said wrongly:
#
# - $(1, 0)$ goes to the first **column** of $T$ in $y = T x$, not to a row;
# - $\lvert \det T \rvert = \lvert ad - bc \rvert$ is the **area** of the image; the integral of the density over it is 1, as before;
# - the density there is therefore $1 / \lvert \det T \rvert$.

# %%
matrix = np.array([[2.0, 1.0], [0.5, 1.5]])
shear = flows.linear_map(matrix)
square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
corners = np.array([shear.forward({}, jnp.float32(corner), None)[0] for corner in square])
area = 0.5 * abs(np.sum(corners[:, 0] * np.roll(corners[:, 1], -1) - corners[:, 1] * np.roll(corners[:, 0], -1)))
stretch = float(jnp.exp(shear.forward({}, jnp.zeros(2), None)[1]))
print(f"(1, 0) goes to {corners[1]}, the first column; area by the shoelace formula {area:.2f}, |det T| {stretch:.2f}")
print(f"density on the image {1 / stretch:.2f}, its integral {area / stretch:.2f}")

# %% [markdown]
# A smooth map does this everywhere with another matrix, its Jacobian. A `planar` layer moves points along one direction by a tanh of where they are across another; a `radial` layer moves them away from a centre. Each small cell of the grid changes its area by $\lvert \det J \rvert$, which colours the points.

# %%
layers = {
    "planar": (flows.planar(2), {"w": jnp.array([0.0, 2.0]), "u_raw": jnp.array([1.5, 1.5]), "b": jnp.array(0.0)}),
    "a matrix": (shear, {}),
}
figure, axes = new_axes(9.0, 3.6, columns=2)
fine = np.linspace(-2, 2, 200)
for ax, (name, (layer, its)) in zip(axes, layers.items(), strict=True):
    for tick in np.linspace(-2, 2, 17):
        for line in (np.stack([np.full(200, tick), fine], 1), np.stack([fine, np.full(200, tick)], 1)):
            moved, log_det = jax.vmap(layer.forward, (None, 0, None))(its, jnp.float32(line), None)
            ax.scatter(*np.asarray(moved).T, s=1, c=np.exp(log_det), cmap="coolwarm", vmin=0, vmax=4)
    ax.set_aspect("equal")
    style(ax, title=f"{name}: red where area grows")
figure

# %% [markdown]
# Autodiff can make the whole Jacobian and its determinant, at a cost of $Z^3$. It is the check that every layer of this library passes:

# %%
layer, its = layers["planar"]
u = jnp.array([0.3, -0.2])
jacobian = jax.jacobian(lambda u: layer.forward(its, u, None)[0])(u)
print(f"log|det| of the layer {layer.forward(its, u, None)[1]:.5f}, of autodiff {jnp.linalg.slogdet(jacobian)[1]:.5f}")

# %% [markdown]
# ## Maximum likelihood: both terms inside the sum
#
# $\hat f = \arg\max \sum_i \big[ \log p_u(u_i) - \log \lvert \det J(u_i) \rvert \big]$. With $\log \lvert \det J \rvert$ outside the sum, counted once for all points, the best scale of 400 points of standard deviation 2 is 40:

# %%
x = rng.normal(size=400)
x *= 2 / np.sqrt(np.mean(x**2))
scales = np.geomspace(0.5, 100, 2000)
fit = -0.5 * np.sum(x**2) / scales**2
print(
    f"inside: {scales[np.argmax(fit - len(x) * np.log(scales))]:.2f}; outside: {scales[np.argmax(fit - np.log(scales))]:.1f}"
)

# %% [markdown]
# ## Determinants for nothing: couplings and autoregressive layers
#
# The determinant of a triangular matrix is the product of its diagonal. A **coupling** leaves half of the numbers as they are and lets them decide how the others move; in a **masked autoregressive** layer each number moves as those before it say. Their Jacobians, with random weights (zeros are white):

# %%
Z = 6
small = functools.partial(jaxvae.networks.ConditionerMLP, hidden=(16,))
masked = functools.partial(jaxvae.networks.MADE, Z, hidden=(16,))
made = {
    "coupling": flows.affine_coupling(small(6), Z),
    "masked autoregressive, inverse": flows.invert(flows.masked_autoregressive(masked(2), Z)),
    "lu_linear, inverse": flows.invert(flows.lu_linear(Z)),
}
figure, axes = new_axes(9.0, 3.0, columns=3)
for ax, (name, layer) in zip(axes, made.items(), strict=True):
    its = layer.init(key, jnp.zeros(Z), None)
    its = jax.tree.map(lambda leaf: leaf + 0.5 * rng.normal(size=leaf.shape).astype(np.float32), its)
    jacobian = jax.jacobian(lambda u, layer=layer, its=its: layer.forward(its, u, None)[0])(jnp.ones(Z))
    ax.imshow(jacobian, cmap="RdBu_r", vmin=-2, vmax=2)
    style(ax, title=name)
    ax.grid(visible=False)
figure

# %% [markdown]
# The coupling is as fast one way as the other. The autoregressive layer scores a point in one pass, and draws one number after the other; turned round (inverse autoregressive) it draws in one pass, which is what a posterior wants. Matrices are kept as their LU factors, so that the determinant is a sum again.
#
# ## A flow of eight Gaussians
#
# Autoregressive layers of splines, with matrices in between so that no number is always the first. The truth is known, so the flow can be judged against it.

# %%
angle = 2 * np.pi * np.arange(8) / 8
centres = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)


def eight_gaussians(count, seed):
    draw = np.random.default_rng(seed)
    return (centres[draw.integers(0, 8, count)] + 0.2 * draw.normal(size=(count, 2))).astype(np.float32)


def truth(x):
    square = np.square(x[:, None] - centres[None]).sum(2)
    return np.log(np.exp(-square / (2 * 0.04)).mean(1) / (2 * np.pi * 0.04))


train, test = eight_gaussians(4000, 0), eight_gaussians(2000, 1)
network = functools.partial(jaxvae.networks.MADE, 2, hidden=(32, 32))
mixed = {"between": lambda index: flows.lu_linear(2, seed=index)}
bijection = flows.autoregressive_flow(
    flows.masked_autoregressive, 2, network, flows.spline_transform(8), layers=4, **mixed
)
flow = jaxvae.priors.flow_prior(bijection, 2)
params = train_density(train, flow, steps=1500, batch_size=200, learning_rate=3e-3)
score = jax.jit(jax.vmap(lambda x: flow.log_prob(params, x, None)))
gap = truth(np.float64(test)) - np.float64(score(test))
print(f"log p of held-out points: flow {score(test).mean():.3f}, truth {truth(np.float64(test)).mean():.3f} nats")
print(f"what the flow lacks, point by point: {gap.mean():.3f} +- {gap.std() / len(gap) ** 0.5:.3f}")

# %% [markdown]
# Its density sums to 1 over a fine grid, because it *is* a density. Bridges between the blobs remain: a continuous map cannot tear one Gaussian into eight.

# %%
ticks = np.linspace(-3.2, 3.2, 220)
plane = np.stack(np.meshgrid(ticks, ticks), -1).astype(np.float32)
image = np.exp(np.asarray(score(plane.reshape(-1, 2)))).reshape(220, 220)
print(f"integral {image.sum() * (ticks[1] - ticks[0]) ** 2:.4f}")
drawn = jax.vmap(lambda key: flow.sample(params, key, None)[0])(jax.random.split(key, 2000))
figure, axes = new_axes(9.0, 3.2, columns=3)
for ax, (name, dots, colour) in zip(axes, (("points", test, BLUE), ("draws", drawn, ORANGE)), strict=False):
    ax.scatter(*np.asarray(dots).T, s=2, color=colour)
    style(ax, title=name)
axes[2].imshow(image, origin="lower", extent=(-3.2, 3.2, -3.2, 3.2), cmap="magma")
style(axes[2], title="density of the flow")
for ax in axes:
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")
    ax.grid(visible=False)
figure

# %% [markdown]
# ## A flow of pictures
#
# Pixels are whole numbers, which have no density. Noise fills the gap between two levels, $v = (x + u) / L$, and the density of $v$ **bounds** the probability of $x$:
#
# $$\log P(x) \ge \mathbb E_u[\log p(v)] - D \log L.$$
#
# So the noise is the code of a VAE whose decoder only rounds, and the importance-weighted bound tightens it. In one dimension the bin's probability is known:

# %%
model = jaxvae.models.densities.dequantized(jaxvae.priors.standard_normal(1), 2, event_shape=(1,))
values = jaxvae.per_example(model, {}, key, np.ones((500, 1), np.float32), samples=(1, 10))
exact = np.log(jax.scipy.stats.norm.cdf(1.0) - jax.scipy.stats.norm.cdf(0.5))
print(f"-log P {-exact:.4f}; bound {-values['elbo'].mean():.4f}; with 10 draws {-values['iwae_10'].mean():.4f} nats")

# %% [markdown]
# On the command line a flow is a kind of model like any other:
#
# ```
# python -m experiments.train digits --model.kind spline_flow --data.levels 17
# python -m experiments.train digits --model.kind glow --data.levels 17
# python -m experiments.train table --data.name my.csv --model.kind spline_flow
# python -m experiments.level_density
# python -m experiments.table_density protein_density.npz
# ```
#
# On the 17 levels of the digits a spline flow needs 83.8 ± 0.6 nats with 50 draws of the noise, on eight columns of a protein table it beats a mixture of 40 Gaussians by 1.68 ± 0.03 nats a row; the last two commands print both.
#
# ## Try this
#
# - Train on two moons instead (`sklearn.datasets.make_moons`): which needs more layers?
# - Replace `between` by its default, the reversal of the order. What changes for two numbers?
# - Draw the grid of $u$ carried over by `bijection.forward`, and find where it is torn the most.
