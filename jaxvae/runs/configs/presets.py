"""Configs to begin with, by name; no JAX is imported."""

from dataclasses import replace

from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, OptimConfig
from jaxvae.runs.configs.hierarchies import CIFAR10, CIFAR10_VDVAE, DEEP, LADDER, VDVAE

# On 8x8 images the grey levels say as much as the shapes, so they are modelled, not thrown away by binarisation.
_digits = Config(
    epochs=300,
    evaluate_every=5,
    save_every=50,
    data=DataConfig("digits", protocol="levels"),
    model=ModelConfig(hidden=(256,), latent_dim=8, likelihood="discretized_logistic"),
)

_digits_conv = replace(_digits.model, network="conv", features=(16, 32), dense=128)

# Pictures of one's own keep their grey levels and colours, whatever they are.
_images = Config(
    epochs=50,
    evaluate_every=5,
    save_every=5,
    data=DataConfig("", protocol="levels"),
    model=ModelConfig(network="conv", likelihood="discretized_logistic", latent_dim=32),
)

# A smooth movement of small grey pictures, seen in a plane: the Frey faces of Kingma and Welling, 2013, figure 4.
_frey = Config(
    epochs=200,
    evaluate_every=5,
    save_every=50,
    data=DataConfig("", protocol="grey"),
    model=ModelConfig(hidden=(256,), latent_dim=2, likelihood="normal", std=0.3, output_bias="data_mean"),
)

# Drawn faces in colour, 64x64. A mouth differs from the next by 0.08 in squared pixels, all of them together: under a
# standard deviation of 0.25 it is not worth its code, under 0.05 it is. Codes of few kinds of hair and eyes then lie in
# clumps, which a flow learns as the prior, so that draws are faces; the mean image spares the latents the background.
#     jaxvae train toon-faces --data.name toon_faces64.npz
# 498 s of processor time, all told. Expected: sharp reconstructions, eyes and all, and draws that are faces. Obtained:
# both, but for the mouths, which are still one for all, and a ghost of other hair in one draw of ten; test -ELBO -24680
# +- 8 nats of the density, KL 21.5 +- 0.1 (the six factors have 9.2).
_toon_faces = Config(
    epochs=7,
    batch_size=16,
    evaluate_every=7,
    data=DataConfig("", protocol="grey"),
    model=ModelConfig(
        network="resnet",
        features=(16, 32, 64, 128),
        activation="silu",
        latent_dim=16,
        likelihood="normal",
        std=0.05,
        prior="spline",
        output_bias="data_mean",
    ),
    optim=OptimConfig(lr=2e-3, schedule="cosine", warmup_epochs=0.1, ema=0.99),
)

# Emoji are many kinds of things: four times as many latents, twice the deviation, and mirror images for more of them.
# All skin tones of one emoji stay on one side of the split.
#     jaxvae train emoji --data.name emoji64.npz
# 355 s of processor time. Expected: paths between emoji, and draws that are some. Obtained: emoji never seen come back
# with their shape and colours and without their lines; draws of people and hearts can be told, things are blobs. Test
# -ELBO -4899 +- 316 nats of the density, KL 131 +- 1; training ends at -8050: more emoji would help, more epochs not.
_emoji = replace(
    _toon_faces,
    epochs=12,
    evaluate_every=12,
    data=DataConfig("", protocol="grey", label_column="category", group_column="base", flip=True),
    model=replace(_toon_faces.model, latent_dim=64, std=0.1),
)

# 400 photographs of 40 people: those of the test are of people never seen.
#     jaxvae train olivetti --data.name olivetti_faces64.npz
# 183 s of processor time. Expected: soft faces. Obtained: so; somebody unseen comes back as somebody alike, blurred.
# Test -ELBO -3759 +- 133 nats of the density, KL 49 +- 2: four people are few to measure on.
_olivetti = replace(
    _toon_faces,
    epochs=60,
    evaluate_every=60,
    save_every=20,
    data=DataConfig("", protocol="grey", group_column="identity", flip=True),
    model=replace(_toon_faces.model, latent_dim=32, std=0.1),
)

#     jaxvae train fashion-conv
# 160 s of processor time. Expected: about 3.5 bits per dimension, and blurred draws. Obtained: 3.537 +- 0.010, and so.
_fashion_conv = Config(
    epochs=3,
    evaluate_every=3,
    data=DataConfig("fashion_mnist", protocol="levels"),
    model=ModelConfig(network="conv", likelihood="discretized_logistic", activation="silu"),
    optim=OptimConfig(lr=2e-3, schedule="cosine"),
)

# On standardised columns a standard deviation of 1, of each column and code its own, says that nothing is known yet.
_table = Config(
    epochs=100,
    evaluate_every=5,
    save_every=10,
    data=DataConfig("", kind="table", protocol="standardize"),
    model=ModelConfig(hidden=(128, 128), likelihood="normal", scale="per_pixel", std=1.0, latent_dim=8),
)

_counts = Config(
    epochs=100,
    batch_size=64,
    evaluate_every=5,
    save_every=10,
    data=DataConfig("", kind="counts", protocol="counts"),
    model=ModelConfig(hidden=(128,), likelihood="negative_binomial", latent_dim=10),
)

# What is told of a pixel are the rows above it: more layers see further, and a GPU has time for them.
_pixels = Config(
    epochs=4,
    batch_size=32,
    data=DataConfig("mnist"),
    model=ModelConfig(kind="pixel_cnn"),
    optim=OptimConfig(lr=3e-3, schedule="cosine"),
)
_pixels_large = replace(
    _pixels,
    epochs=100,
    batch_size=128,
    model=ModelConfig(kind="pixel_cnn", pixel_features=64, pixel_layers=12),
    optim=OptimConfig(lr=2e-3, schedule="cosine", ema=0.999, clip=1.0),
)

PRESETS: dict[str, Config] = {
    "digits": _digits,
    "digits-2d": replace(_digits, model=replace(_digits.model, latent_dim=2)),
    "digits-conv": replace(_digits, model=_digits_conv),
    "mnist": Config(epochs=10, data=DataConfig("mnist")),
    "mnist-conv": Config(epochs=10, data=DataConfig("mnist"), model=ModelConfig(network="conv")),
    "mnist-pixels": _pixels,
    "pixels-large": _pixels_large,
    "mnist-ladder": LADDER,
    "mnist-deep": DEEP,
    "mnist-vdvae": VDVAE,
    "fashion-mnist": Config(epochs=10, data=DataConfig("fashion_mnist")),
    "fashion-conv": _fashion_conv,
    "images": _images,
    "toon-faces": _toon_faces,
    "cifar10": CIFAR10,
    "cifar10-vdvae": CIFAR10_VDVAE,
    "emoji": _emoji,
    "olivetti": _olivetti,
    "frey": _frey,
    "table": _table,
    "counts": _counts,
}

# One line for each preset in --help.
ABOUT: dict[str, str] = {
    "digits": "MLP on scikit-learn's 8x8 digits: no download, under a minute",
    "digits-2d": "the same with two latents, for pictures of the latent plane",
    "digits-conv": "convolutions on the same digits",
    "mnist": "MLP 784-400-20 on dynamically binarised MNIST, 10 epochs",
    "mnist-conv": "convolutions 32-64 of stride 2, dense 256, on the same data",
    "mnist-pixels": "gated PixelCNN on the same data, exact -log p, 22 minutes",
    "pixels-large": "four times as wide, 12 layers: for a GPU, not yet tried",
    "mnist-ladder": "two groups of latents in a ladder, dense, on the same data",
    "mnist-deep": "a deep hierarchy of five groups of latents on the same data",
    "mnist-vdvae": "24 groups on 14, 7 and 1 pixels: for a GPU, not yet tried",
    "fashion-mnist": "MLP 784-400-20 on dynamically binarised Fashion-MNIST",
    "fashion-conv": "convolutions on its 256 grey levels, 3 epochs",
    "images": "convolutions on your own pictures: --data.name FOLDER or FILE",
    "toon-faces": "residual, colour faces: --data.name toon_faces64.npz",
    "cifar10": "a deep hierarchy on colour photographs, 20 minutes",
    "cifar10-vdvae": "26 groups on 32 to 1 pixels: for a GPU, not yet tried",
    "emoji": "residual, colour emoji: --data.name emoji64.npz",
    "olivetti": "residual, photographs: --data.name olivetti_faces64.npz",
    "frey": "two latents of small grey faces: --data.name frey_faces.npz",
    "table": "MLP on your own columns of numbers: --data.name FILE.csv",
    "counts": "MLP on your own counts: --data.name FILE.npy",
}
