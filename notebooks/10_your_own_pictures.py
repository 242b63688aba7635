# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · Your own pictures
#
# A folder of pictures, one command, and a model that has seen them. Here the pictures are drawn on the spot, so that the notebook needs nothing; put your own folder in their place and the rest stays as it is.

# %%
# %matplotlib inline
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from PIL import Image, ImageDraw

import jaxvae
from jaxvae.evaluation import latents, plots
from jaxvae.evaluation.bounds.report import evaluate
from jaxvae.evaluation.latents import generation
from jaxvae.runs import PRESETS, train_run
from jaxvae.runs.held_out import bin_width, load_held_out, setting_of

os.chdir(tempfile.mkdtemp())  # everything below is written here, and may be thrown away

# %% [markdown]
# ## A folder
#
# Sub-folders are classes. A landscape by day or by night: a sky in the colour of the hour, a sun or a moon, a hill, and on every pixel the noise that a camera adds, of 6 levels:

# %%
HOURS, SKIES = (
    [0.0, 0.3, 0.45, 0.6, 1.0],
    [(15, 20, 60), (60, 40, 110), (240, 140, 80), (150, 200, 240), (90, 160, 240)],
)


def landscape(rng, hour):
    sky = tuple(int(np.interp(hour, HOURS, channel)) for channel in zip(*SKIES, strict=True))
    picture = Image.new("RGB", (16, 16), sky)
    draw = ImageDraw.Draw(picture)
    x, y = rng.uniform(3, 13), 9 - 7 * abs(2 * hour - 1)  # high at noon and at midnight
    draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=(255, 230, 120) if hour > 0.45 else (230, 230, 240))
    top, light = rng.uniform(9, 13), 40 + int(100 * hour)
    draw.ellipse([rng.uniform(-12, 0), top, rng.uniform(16, 28), 30], fill=(light // 2, light, light // 3))
    noisy = np.asarray(picture) + rng.normal(0, 6, (16, 16, 3))
    return Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))


rng = np.random.default_rng(0)
for i, hour in enumerate(rng.uniform(0, 1, 600)):
    folder = Path("pictures", "day" if hour > 0.45 else "night")
    folder.mkdir(parents=True, exist_ok=True)
    landscape(rng, hour).save(folder / f"{i:03}.png")

pictures = jaxvae.data.load("./pictures", test_fraction=0.1)
print(pictures.images.shape, pictures.images.dtype, "of the classes", pictures.class_names)
plots.image_grid(pictures.images[::18], columns=15, title="Some of them")[0]

# %% [markdown]
# ## A run
#
# On the command line it is
#
# ```bash
# jaxvae train images --data.name pictures --workdir runs/mine
# ```
#
# and in Python the same preset, smaller, since these pictures are: convolutions, and for every pixel and channel a distribution over all 256 levels. A tenth of the pictures is held out; the run never trains on them.

# %%
preset = PRESETS["images"]
config = replace(
    preset,
    epochs=120,
    batch_size=60,
    evaluate_every=40,
    progress=False,
    data=replace(preset.data, name="./pictures"),
    model=replace(preset.model, features=(16, 32), dense=64, latent_dim=8),
    optim=replace(preset.optim, lr=3e-3),
)
outcome = train_run(config, "runs/mine", say=print)
test = outcome.summary["test"]
print(f"-ELBO {test['negative_elbo']['nats']:.0f} nats per held-out picture")

# %% [markdown]
# The same command again would go on where it stopped. The folder has everything, and opens anywhere:

# %%
model, params, config = jaxvae.load("runs/mine")
held_out = load_held_out(config.data)
sorted(path.name for path in Path("runs/mine").iterdir())

# %% [markdown]
# ## Look
#
# Held-out pictures above what comes back through eight numbers:

# %%
shown = held_out.some(15)
again = model.to_unit(generation.reconstructions(model, params, shown.x))
plots.compare(shown.rows(model) | {"again": again}, title="Held-out pictures and their reconstructions")[0]

# %% [markdown]
# And pictures that nobody drew, from the prior:

# %%
new = model.to_unit(generation.prior_means(model, params, jax.random.key(0), 45))
plots.image_grid(new, columns=15, title="Draws")[0]

# %% [markdown]
# An hour, a sun or a moon, a hill; some are of no hour at all. There were 540 pictures to learn from and half a minute: more of both is what helps first. Between two codes lies a path of pictures:

# %%
ends = held_out.take(np.array([0, 2, 4])), held_out.take(np.array([1, 3, 5]))
path = generation.interpolate(model, params, ends[0].x, ends[1].x, 9)
plots.interpolations(model.to_unit(path), ends[0].raw, ends[1].raw)[0]

# %% [markdown]
# ## A score
#
# The likelihood is one of the 256 levels themselves, so its bound is a number of bits that another coder can be asked for as well. PNG is one: here is what it needs for the same pixels, its header aside. And nobody can do better than the noise allows, $\log_2(6 \sqrt{2 \pi e})$ bits for each number.

# %%
rows = evaluate(model, params, held_out.x, setting_of(config.data, held_out), samples=50, bin_width=bin_width(config))
for row in rows:
    print(f"{row.name:20}{row.number:>16} {row.unit}")


def png_bytes(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return len(file.getvalue()) - 57  # signature, header and end of a file, which are the same for all


bits = 8 * np.mean([png_bytes(image) for image in held_out.raw]) / held_out.raw[0].size
print(
    f"\nPNG {bits:.2f} bits per dimension, the noise alone {np.log2(6 * np.sqrt(2 * np.pi * np.e)):.2f}, no model at all 8"
)

# %% [markdown]
# What lies between the bound and the noise is what the model has not learned. Which latents are in use, and for what? Those of a large KL; where one of them moves, something of the picture does.

# %%
strengths = latents.measured_strengths(model, params, jax.random.key(1), held_out.x)
chosen, values = strengths.strongest(4), latents.gaussian_quantiles(11)
z = latents.posterior_means(model, params, held_out.x[:1])[0]
moved = np.stack([model.to_unit(generation.traverse(model, params, z, latent, values)) for latent in chosen])
plots.traversals(moved, chosen, values, strengths.values[list(chosen)], unit=strengths.unit)[0]

# %% [markdown]
# ## When the pictures do not fit
#
# Real folders have pictures of several sizes, a grey one among the coloured, one that is transparent. Nothing is bent in silence: the first that does not fit is named, with the option that mends it.

# %%
Image.new("RGB", (20, 14)).save("pictures/day/odd.png")
try:
    jaxvae.data.load("./pictures")
except ValueError as error:
    print(error)

# %% [markdown]
# ## Where to go on
#
# - `jaxvae evaluate runs/mine`, `sample`, `reconstruct`, `traverse`, `manifold`, `codes`, `report`: the same from the command line; `report` writes one page with all of it.
# - `--model.kind conditional` is told the classes, and `jaxvae sample runs/mine --label 0` then draws days.
# - The guide [your own data](guides/own_data.md) lists what a folder, a file or a table may look like.
