# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · The ELBO by hand
#
# A VAE is trained on a lower bound of $\log p(x)$. Here the model is so small that nothing has to be believed: pictures of 4x4 pixels driven by **one** number. Its posterior and its evidence are sums over a grid, so the bound and what it misses can be looked at, to four digits.
#
# At the end stand the formulas that lecture slides often get wrong, each wrong one beside the right one, with a number that tells them apart.
#
# All numbers are in **nats**.

# %%
# %matplotlib inline
# %config InlineBackend.print_figure_kwargs = {"dpi": 75}
import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.evaluation import plots
from jaxvae.evaluation.annealing.annealed import ancestral_sample
from jaxvae.evaluation.exact.grid import grid_posterior
from jaxvae.evaluation.exact.parts import evidence_parts, gaussian_on_grid
from jaxvae.evaluation.plots.evidence_charts import posterior_and_q, two_turns
from jaxvae.evaluation.plots.figures import new_axes, style
from jaxvae.models.exact.pixels import four_by_four
from jaxvae.models.records import DiagNormal
from jaxvae.training.search.coordinate_ascent import e_step, m_step

# %% [markdown]
# ## A data set driven by one number
#
# Nature draws $z \sim \mathcal{N}(0, 1)$, puts a soft spot on a circle at the angle $2\pi\,\Phi(z)$, clockwise from twelve o'clock, and adds noise to every pixel: $x \mid z \sim \mathcal{N}(f(z), 0.3^2 I)$. Below are 36 pictures in the order of their $z$, and the same without the noise.

# %%
model = four_by_four(noise=0.3)
params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
x, z = ancestral_sample(model, params, jax.random.key(0), 36)
order = np.argsort(z[:, 0])
x, z = np.asarray(x)[order], np.asarray(z)[order]
clean = jax.vmap(model.likelihood.mean, (None, 0))(params, z)
figure, _ = plots.compare({"drawn": x, "without noise": clean}, columns=18, title="z grows from left to right")
figure

# %% [markdown]
# ## The posterior and the evidence, exactly
#
# Somebody shows us one picture. Which $z$ made it? Bayes' rule:
#
# $$p(z \mid x) = \frac{p(x \mid z)\,p(z)}{p(x)}, \qquad p(x) = \int p(x \mid z)\,p(z)\,dz .$$
#
# With one latent the integral is a sum over a few thousand points. We take three pictures: one in the middle of the circle's range, one nearer to its end, and one at twelve o'clock, where both ends of the line meet and two values of $z$ explain the picture.

# %%
made_by = [(0.55, 1), (-1.15, 7), (3.5, 3)]  # z, and the key of the noise
three = np.stack([model.likelihood.sample(params, jax.random.key(key), jnp.float32([z]))[0] for z, key in made_by])
grid = grid_posterior(model, params, three, low=-8.0, high=8.0)
for i in range(3):
    print(f"picture {i}: log p(x) = {grid.log_evidence[i]:.4f}   E[z | x] = {grid.mean[i, 0]:+.4f}")

# %% [markdown]
# ## Four ways to write one number
#
# Take any density $q(z)$ that we can handle. The **evidence lower bound** of $q$ can be derived in four ways, which all end at the same number:
#
# 1. *Jensen's inequality*: $\log p(x) = \log \mathbb{E}_q\!\left[\frac{p(x, z)}{q(z)}\right] \ge \mathbb{E}_q\!\left[\log \frac{p(x, z)}{q(z)}\right]$, since the logarithm of a mean is at least the mean of logarithms.
# 2. *Reconstruction minus price*: $\mathbb{E}_q[\log p(x \mid z)] - \mathrm{KL}(q \,\|\, p(z))$.
# 3. *Energy plus entropy*: $\mathbb{E}_q[\log p(x, z)] + H(q)$, the free energy of the EM algorithm.
# 4. *Evidence minus gap*: $\log p(x) - \mathrm{KL}(q \,\|\, p(z \mid x))$. No gap is negative, so this is a bound, and it is **tight exactly when $q(z) = p(z \mid x)$**.
#
# Here are all four for $q = \mathcal{N}(0.5, 0.2^2)$ and the first picture.

# %%
q = DiagNormal(jnp.array([[0.5]]), jnp.log(jnp.array([[0.2**2]])))
first = grid_posterior(model, params, three[:1], low=-8.0, high=8.0)
log_q = gaussian_on_grid(first.axes, q)
log_joint, weight = first.log_likelihood + first.log_prior, np.exp(log_q) * (first.axes[0][1] - first.axes[0][0])
parts = evidence_parts(first, log_q)
print(f"1  E_q[log p(x, z) / q(z)]      {(weight * (log_joint - log_q)).sum():.4f}")
print(f"2  {parts.log_likelihood[0]:.4f} - {parts.kl[0]:.4f}             {parts.log_likelihood[0] - parts.kl[0]:.4f}")
print(f"3  energy + entropy             {(weight * log_joint).sum() + 0.5 * np.log(2 * np.pi * np.e * 0.2**2):.4f}")
print(f"4  {parts.log_evidence[0]:.4f} - {parts.gap[0]:.4f}             {parts.log_evidence[0] - parts.gap[0]:.4f}")

# %% [markdown]
# **Jensen's inequality** by itself, on the weights $w = p(x, z)/q(z)$ of samples from this $q$: the mean of the logarithms is the ELBO; the logarithm of the mean estimates $\log p(x)$ itself.

# %%
draws = 0.5 + 0.2 * jax.random.normal(jax.random.key(1), (20_000, 1))
log_w = jax.vmap(
    lambda z: (
        model.likelihood.log_prob(params, three[0], z)
        + model.prior.log_prob(params, z, None)
        - jaxvae.normal_log_prob(z, q.mean[0], q.log_var[0])
    )
)(draws)
print(f"mean of logarithms {log_w.mean():.4f} +- {log_w.std() / len(log_w) ** 0.5:.4f}    (exact: {parts.elbo[0]:.4f})")
print(f"logarithm of mean  {jaxvae.log_mean_exp(log_w):.4f}              (exact: {parts.log_evidence[0]:.4f})")

# %% [markdown]
# ## When is the bound tight?
#
# Now let $q$ be the *best* Gaussian for each picture: the one that maximises the ELBO, which is the one of least $\mathrm{KL}(q \,\|\, p(z \mid x))$. Where the posterior is nearly a Gaussian the gap nearly vanishes. Where it has two modes, a Gaussian can cover one of them and pays about $\log 2 = 0.69$ nats for the other.

# %%
modes = jnp.float32(grid.axes[0][grid.density.argmax(1)][:, None])
best = e_step(model, params, three, DiagNormal(modes, jnp.full((3, 1), -2.0)))
log_q = gaussian_on_grid(grid.axes, best)
parts = evidence_parts(grid, log_q)
figure, axes = new_axes(9.5, 3.2, columns=3)
for i, ax in enumerate(axes):
    title = f"log p(x) = {parts.log_evidence[i]:.4f}\n  ELBO  {parts.elbo[i]:.4f}\n  + gap {parts.gap[i]:.4f}"
    posterior_and_q(grid, log_q, i, title=title, ax=ax)
axes[1].legend(fontsize=8, frameon=False)
figure

# %% [markdown]
# ## Two turns: over $q$, and over the decoder
#
# Nobody tells us the decoder either. Maximising the same ELBO over $q$ is the **E step**: it closes the gap and leaves $\log p(x)$ alone. Maximising it over the decoder's parameters is the **M step**: it lifts the bound, and the evidence with it. A VAE does both at once, by gradients, and an encoder network answers the E step for all pictures together.
#
# We start from a spot that is too wide (1.2 pixels instead of 0.8) on a circle that is too small (0.8 instead of 1.2).

# %%
data = np.asarray(ancestral_sample(model, params, jax.random.key(5), 100)[0])
learner = four_by_four(radius=0.8, width=1.2, noise=0.3)
theta = learner.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
exact = grid_posterior(learner, theta, data, low=-8.0, high=8.0)
q = DiagNormal(jnp.zeros((100, 1)), jnp.zeros((100, 1)))
trace = [evidence_parts(exact, gaussian_on_grid(exact.axes, q))]
q = DiagNormal(jnp.float32(exact.axes[0][exact.density.argmax(1)][:, None]), jnp.full((100, 1), -2.0))
for _ in range(3):
    q = e_step(learner, theta, data, q)
    trace.append(evidence_parts(exact, gaussian_on_grid(exact.axes, q)))
    theta = m_step(learner, theta, data, q)
    exact = grid_posterior(learner, theta, data, low=-8.0, high=8.0)
    trace.append(evidence_parts(exact, gaussian_on_grid(exact.axes, q)))
elbos, evidence = (np.array([getattr(step, name).mean() for step in trace]) for name in ("elbo", "log_evidence"))
print(f"radius {theta['decoder']['radius']:.3f}, width {np.exp(theta['decoder']['log_width']):.3f}")
figure, _ = two_turns(elbos, evidence, title="The E step closes the gap, the M step lifts both")
figure

# %% [markdown]
# ## The KL of two Gaussians
#
# For $q = \mathcal{N}(\mu, \sigma^2)$ and $p = \mathcal{N}(0, 1)$ the price of the code is a closed form,
#
# $$\mathrm{KL}(q \,\|\, p) = \tfrac12\left(\mu^2 + \sigma^2 - 1 - \log \sigma^2\right),$$
#
# which a Monte Carlo estimate $\frac1K \sum_k \log q(z_k) - \log p(z_k)$, $z_k \sim q$, approaches as $1/\sqrt K$. The network emits $\log \sigma^2$, which may be any number.

# %%
mean, log_var = jnp.array([1.0]), jnp.log(jnp.array([0.25]))
zero = jnp.zeros(1)
print(f"closed form      {jaxvae.normal_kl_standard(mean, log_var):.5f}")
for count in (100, 10_000, 1_000_000):
    z = mean + 0.5 * jax.random.normal(jax.random.key(2), (count, 1))
    log_ratio = jax.vmap(lambda z: jaxvae.normal_log_prob(z, mean, log_var) - jaxvae.normal_log_prob(z, zero, zero))(z)
    print(f"{count:9,} draws  {log_ratio.mean():.5f} +- {log_ratio.std() / count**0.5:.5f}")

# %% [markdown]
# The KL is not symmetric, and infinite where $p$ is 0 and $q$ is not. The **Jensen-Shannon divergence** is symmetric and never above $\log 2$: with $m = (p + q)/2$ it is $\tfrac12 \mathrm{KL}(p \,\|\, m) + \tfrac12 \mathrm{KL}(q \,\|\, m)$. Of two Gaussians it has no closed form; from samples of both it is the mean of "how much one learns about which of the two a sample came from".

# %%
half = 0.5 * jax.random.normal(jax.random.key(3), (50_000, 1)) + 1.0, jax.random.normal(jax.random.key(4), (50_000, 1))
log_ratio = jax.vmap(lambda z: jaxvae.normal_log_prob(z, mean, log_var) - jaxvae.normal_log_prob(z, zero, zero))(
    jnp.concatenate(half)
)
print(f"KL(q || p) = {jaxvae.normal_kl_standard(mean, log_var):.4f}")
print(f"KL(p || q) = {jaxvae.normal_kl(zero, zero, mean, log_var):.4f}")
print(f"JS(q,   p) = {jaxvae.math.js_divergence_estimate(log_ratio):.4f}, and never above log 2 = {np.log(2):.4f}")

# %% [markdown]
# ## What the noise does: $C = 1/(2c)$
#
# With $p(x \mid z) = \mathcal{N}(f(z), c\,I)$ and $d$ pixels,
#
# $$-\text{ELBO} = C\;\mathbb{E}_q\,|x - f(z)|^2 + \mathrm{KL}(q \,\|\, p(z)) + \tfrac d2 \log (2\pi c), \qquad C = \frac{1}{2c}.$$
#
# A small $c$ means: every pixel counts, so the code may be long. A large $c$ means: what looks different is mostly noise, so say little. Each row below has its own best $q$ for the first picture.

# %%
print("    c       C    KL, nats   squared error")
kls, cs = [], np.array([0.02, 0.09, 0.5, 2.0, 8.0])
for c in cs:
    noisy = four_by_four(noise=float(np.sqrt(c)))
    start = DiagNormal(modes[:1], jnp.full((1, 1), -2.0))
    answer = e_step(noisy, params, three[:1], start)
    at = grid_posterior(noisy, params, three[:1], low=-8.0, high=8.0)
    found = evidence_parts(at, gaussian_on_grid(at.axes, answer))
    squared = -(found.log_likelihood[0] + 8 * np.log(2 * np.pi * c)) * 2 * c
    kls.append(found.kl[0])
    print(f"{c:5.2f}  {1 / (2 * c):6.2f}  {found.kl[0]:8.4f}  {squared:12.4f}")
figure, ax = new_axes(5.5, 2.8)
ax.semilogx(1 / (2 * cs), kls, "o-", color="#3f90da")
style(ax, title="The louder the pixels, the longer the code", x="C = 1 / (2c)", y="KL, nats")
figure

# %% [markdown]
# ## Errata
#
# Slides on VAEs are full of small slips that training forgives. Each cell computes a wrong formula and the right one.
#
# ### 1. The sign of the KL, and what $\sigma$ is
#
# *Seen*: $D_{KL} = -\tfrac12 \sum (\sigma + \mu^2 - 1 - \log \sigma)$. *Right*: $+\tfrac12 \sum (\sigma^2 + \mu^2 - 1 - \log \sigma^2)$, with $\sigma^2$ the variance. A KL is never negative. For $\mu = 1$, $\sigma^2 = 0.25$:

# %%
mu, sigma = 1.0, 0.5
places = np.linspace(-8, 10, 200_001)
density = np.exp(-0.5 * ((places - mu) / sigma) ** 2) / np.sqrt(2 * np.pi * sigma**2)
integral = (density * (-0.5 * ((places - mu) / sigma) ** 2 - np.log(sigma) + 0.5 * places**2)).sum() * (18 / 200_000)
print(f"wrong, sigma the standard deviation  {-0.5 * (sigma + mu**2 - 1 - np.log(sigma)):+.5f}")
print(f"wrong, sigma the variance            {-0.5 * (sigma**2 + mu**2 - 1 - np.log(sigma**2)):+.5f}")
print(f"right                                {0.5 * (sigma**2 + mu**2 - 1 - np.log(sigma**2)):+.5f}")
print(f"the integral itself                  {integral:+.5f}")

# %% [markdown]
# ### 2. What the encoder emits
#
# *Seen*: "standard deviations" on one slide, "logarithms of the diagonal" on the next. *Right*: one thing everywhere, in this library $\log \sigma^2$. The same output, $-1.3863$, read in three ways:

# %%
output = np.log(0.25)
for reading, log_variance in {"log-variance": output, "log standard deviation": 2 * output}.items():
    kl = jaxvae.normal_kl_standard(jnp.array([1.0]), jnp.array([log_variance]))
    print(f"{reading:<24} variance {np.exp(log_variance):.4f}   KL {kl:.5f}")
print(f"{'standard deviation':<24} {output:.4f}: impossible, it is negative")

# %% [markdown]
# ### 3. Where the noise comes from
#
# *Seen*: $z = \mu + \sigma \epsilon$ with noise "drawn from the prior". *Right*: $\epsilon \sim \mathcal{N}(0, I)$, whatever the prior is. With the prior $\mathcal{N}(3, 1)$, $q = \mathcal{N}(1, 0.25)$ is drawn with the wrong mean:

# %%
noise = np.asarray(jax.random.normal(jax.random.key(6), (100_000,)))
for name, eps in {"wrong": 3 + noise, "right": noise}.items():
    z = mu + sigma * eps
    print(f"{name}: mean of z {z.mean():.3f} +- {z.std() / len(z) ** 0.5:.3f}, expected 1")

# %% [markdown]
# ### 4. The mean over samples, not their sum
#
# *Seen*: $\mathbb{E}_q[\log p(x \mid z)] \approx \sum_i \log p(x \mid z_i)$. *Right*: the mean over $i$. For the first picture with its best $q$ and ten samples:

# %%
z = best.mean[0] + np.exp(best.log_var[0] / 2) * jax.random.normal(jax.random.key(7), (10, 1))
values = jax.vmap(model.likelihood.log_prob, (None, None, 0))(params, three[0], z)
print(f"wrong {values.sum():9.4f}")
print(f"right {values.mean():9.4f} +- {values.std(ddof=1) / 10**0.5:.4f}")
print(f"exact {parts.log_likelihood[0]:9.4f}")

# %% [markdown]
# ### 5. When the bound is tight
#
# *Seen*: "when $p(x \mid z) = q(z \mid x)$". *Right*: when $q(z \mid x) = p(z \mid x)$. The likelihood is no density of $z$; made into one it is still another curve. In the model $x \mid z \sim \mathcal{N}(z, 1)$ with $x = 2$, the normalised likelihood is $\mathcal{N}(2, 1)$ and the posterior $\mathcal{N}(1, \tfrac12)$:

# %%
line = jaxvae.models.exact.linear_gaussian(jnp.ones((1, 1)), noise=1.0)
line_params = line.init(jax.random.key(0), jnp.zeros(1))
two = grid_posterior(line, line_params, np.array([[2.0]], np.float32), low=-8.0, high=10.0)
for name, (m, v) in {"wrong, q = N(2, 1)": (2.0, 1.0), "right, q = N(1, 1/2)": (1.0, 0.5)}.items():
    found = evidence_parts(two, gaussian_on_grid(two.axes, DiagNormal(jnp.array([[m]]), jnp.log(jnp.array([[v]])))))
    print(f"{name:<22} ELBO {found.elbo[0]:.4f}, gap {abs(found.gap[0]):.4f}; log p(x) {found.log_evidence[0]:.4f}")

# %% [markdown]
# ### 6. What the decoder maximises
#
# *Seen*: $\max_\theta \mathbb{E}_q[p(x \mid z)]$. *Right*: $\max_\theta \mathbb{E}_q[\log p(x \mid z)]$. With $x = 2$, $p(x \mid z) = \mathcal{N}(w z, 1)$ and $q = \mathcal{N}(1, \tfrac12)$ the right $w$ is $x\,\mathbb{E}[z] / \mathbb{E}[z^2] = 4/3$:

# %%
w, nodes = np.linspace(0.5, 4, 3501)[:, None], np.linspace(-4, 6, 2001)
q_of_z = np.exp(-((nodes - 1) ** 2))
log_p = -0.5 * (2 - w * nodes) ** 2
print(f"wrong: w = {w[(q_of_z * np.exp(log_p)).sum(1).argmax(), 0]:.3f}")
print(f"right: w = {w[(q_of_z * log_p).sum(1).argmax(), 0]:.3f}")

# %% [markdown]
# ### 7. The loss of a Gaussian decoder
#
# *Seen*: $|x - x'|^2 + \mathrm{KL}$. *Right*: $C |x - x'|^2 + \mathrm{KL}$ with $C = 1/(2c)$, which is that for $c = \tfrac12$ only; and where $c$ is learned, $\tfrac d2 \log(2 \pi c)$ must stay, or the best $c$ is infinite. For a squared error of 1.44 over 16 pixels:

# %%
c = np.array([0.01, 0.03, 0.09, 0.5, 5.0, 500.0])
print("c                   " + "".join(f"{value:10.2f}" for value in c))
print("wrong: C |x - x'|^2 " + "".join(f"{value:10.4f}" for value in 1.44 / (2 * c)))
print("right, with the log " + "".join(f"{value:10.4f}" for value in 1.44 / (2 * c) + 8 * np.log(2 * np.pi * c)))
print(f"the right loss is least at c = 1.44 / 16 = {1.44 / 16:.2f}, the mean squared error of a pixel")

# %% [markdown]
# ### 8. Whose $\mu$ and $\sigma$
#
# *Seen*: the prior is $p(z) = \mathcal{N}(\mu, \sigma)$. *Right*: the prior is $\mathcal{N}(0, I)$; $\mu$ and $\sigma$ belong to $q(z \mid x)$. Otherwise the code would be free, whatever it says:

# %%
q_mean, q_log_var = jnp.array([1.0]), jnp.log(jnp.array([0.25]))
print(f"wrong: KL(N(mu, sigma^2) || N(mu, sigma^2)) = {jaxvae.normal_kl(q_mean, q_log_var, q_mean, q_log_var):.5f}")
print(f"right: KL(N(mu, sigma^2) || N(0, 1))        = {jaxvae.normal_kl_standard(q_mean, q_log_var):.5f}")

# %% [markdown]
# ## Next
#
# - The same pictures with more detail: `python -m experiments.four_by_four`.
# - `grid_posterior` works for *any* model of one or two latents, a trained VAE too: how far is its encoder from the best Gaussian, and that one from the truth? The next notebook trains such a VAE.
