"""What a run is: frozen dataclasses, read from the command line and kept as config.json; no JAX is imported.

The comment after each field is its text in --help. `validate.py` says which values are accepted.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxvae.runs.choices.bounds import BOUNDS, ESTIMATORS
from jaxvae.runs.choices.penalties import PENALTIES
from jaxvae.runs.choices.records import DataKind, Protocol
from jaxvae.runs.configs.model import ModelConfig as ModelConfig

KLOver = Literal["minibatch", "example"]
Schedule = Literal["constant", "cosine", "linear", "burda"]
Sampler = Literal["uniform", "rarity"]
Parallel = Literal["auto", "jit", "pmap", "mesh"]
Precision = Literal["default", "bfloat16", "float32"]
if TYPE_CHECKING:
    Bound = str
    Estimator = str
    Penalty = str
else:  # the names in their tables, see choices/records.py
    Bound, Estimator, Penalty = Literal[tuple(BOUNDS)], Literal[tuple(ESTIMATORS)], Literal[tuple(PENALTIES)]


_MODEL = ModelConfig()


@dataclass(frozen=True)
class DataConfig:
    """Which images or rows, and how raw pixels 0..255, or the numbers of a table, become x."""

    name: str = "digits"  # digits, shapes, mnist, any other TFDS name, or a .npy, .npz, .csv, .array_record or folder.
    kind: DataKind = "images"  # images, a table of numbers [N, D], or counts (whole numbers) [N, D].
    protocol: Protocol = "auto"
    """auto: what fits the likelihood and the data; dynamic for MNIST and its like alone, grey for other pictures that
    are not binary. grey: x/255. threshold: 1 from 128 on, else 0. dynamic: 1 with probability x/255, drawn anew each
    time. levels: the integers 0..255. dequantize: (x + u)/256 with uniform u; both of fewer levels with data.levels.
    standardize: a table's (value - mean)/std by the training rows. counts: the counts themselves."""
    size: tuple[int, ...] | None = None  # Pictures in files: HEIGHT WIDTH to crop at the centre and resample to.
    crop: tuple[int, ...] | None = None  # Files or records: HEIGHT WIDTH of their middle, cut out before that.
    channels: int | None = None  # Files or records: 1 makes them grey, 3 colour; needed where they are mixed.
    background: tuple[int, ...] | None = None  # The same: the colour behind transparent pictures, RED GREEN BLUE.
    skip_unreadable: bool = False  # The same: leave out what is cut short or no picture, and count it.
    label_column: str | None = None  # Column of a .csv, array of an .npz, integer of records: the classes.
    group_column: str | None = None
    """The array of an .npz, such as the person in a picture, whose groups stay on one side of train and test."""
    drop: tuple[str, ...] = ()  # Columns of a .csv to leave out, such as an identifier.
    levels: int = 256
    """Grey levels that the protocols levels and dequantize tell apart, 2 to 256: the whole numbers 0 to levels - 1.
    The 8x8 digits have 17 and no others: told 256, a model is paid for knowing which occur."""
    flip: bool = False  # Mirror each training image, left for right, half of the time; for faces, not for digits.
    shift: int = 0  # Move each training image by up to so many pixels, another way in every epoch.
    jitter: float = 0.0
    """Change brightness, contrast and colours of each training image, by up to this part. Pixels are then any of 256
    levels; fewer data.levels round them."""
    resident: Literal["auto", "always", "never"] = "auto"
    """Whether all training examples lie on the device. auto: where they take a quarter of its memory at most. never:
    they stay in their file, or on the host, and are read while the device works. The numbers are the same."""
    train_split: str = "train"  # Split to train on.
    test_split: str = "test"  # Split to measure on.
    test_fraction: float = 0.1  # Part held out of your own images where no file or sub-folder is the test split.
    image_shape: tuple[int, ...] | None = None  # Height, width, channels, or columns; the run itself fills this in.
    columns: tuple[str, ...] | None = None  # Names of the columns of a table; the run itself fills this in.
    mean: tuple[float, ...] | None = None  # Of each column of a table's training rows; the run itself fills this in.
    std: tuple[float, ...] | None = None  # The same: its standard deviation; the run itself fills this in.
    classes: int | None = None  # Number of classes, for a kind that takes labels; the run itself fills this in.
    train_sha256: str | None = None  # Digest of the training images and labels; the run itself fills this in.
    test_sha256: str | None = None  # Digest of the test images and labels; the run itself fills this in.


@dataclass(frozen=True)
class SamplerConfig:
    """Which training images an epoch draws."""

    kind: Sampler = "uniform"
    """uniform: each image once an epoch. rarity: as many draws with replacement, the likelier the rarer the image's
    code (Amini et al., 2019), by weights made anew at the start of every epoch."""
    alpha: float = 0.01  # rarity: added to the share of a code's bin; large is nearly uniform, small extreme.
    at_least: float = 0.2  # rarity: alpha is raised until the draws are worth this share of the images; 0 leaves it.
    bins: int = 10  # rarity: of the histogram of each latent.
    combine: Literal["product", "maximum"] = "product"  # rarity: of the latents; maximum is milder.
    threshold: float = 0.01  # rarity: a latent counts where its means have a larger variance than this.


@dataclass(frozen=True)
class ObjectiveConfig:
    """The bound that training maximises, in nats per example."""

    bound: Bound = "elbo"  # Evidence lower bound, the importance-weighted one, or a relative of theirs.
    samples: int = 1  # Posterior samples per example and step.
    estimator: Estimator = "pathwise"  # How the gradient of the bound is estimated.
    groups: int = 1  # miwae, piwae: groups that the samples are split into.
    mix: float = 0.5  # ciwae: weight of the ELBO, the rest goes to the IWAE bound.
    alpha: float = 0.5  # renyi: order; 1 is the ELBO, 0 the IWAE bound.
    free_bits: float = 0.1  # free_bits: nats of each latent that cost nothing.
    capacity: float = 25.0  # capacity: nats that the KL is held at.
    capacity_weight: float = 10.0  # capacity: weight of the distance from it.
    kl_over: KLOver = "minibatch"
    """free_bits, capacity: the KL that the rule compares, the mean over the minibatch (Kingma et al., 2016), over each
    micro-batch if there are any; or each example's own."""
    penalty: Penalty = "none"  # Asked beside the bound: of all codes of a batch, or of how a reconstruction looks.
    penalty_weight: float = 1.0  # Its weight.
    features: str | None = None  # Of the penalty features: an .npz with the weights of the network that judges.
    features_sha256: str | None = None  # Digest of that file; the run itself fills this in.
    beta: float = 1.0  # Weight of the KL (elbo only); 1 is a VAE.
    warmup_epochs: float = 0.0  # Epochs over which the weight of the KL rises from 0 to beta.


@dataclass(frozen=True)
class OptimConfig:
    """How the parameters move."""

    name: Literal["adam", "adamw", "sgd"] = "adam"  # Optax optimizer.
    lr: float = 1e-3  # Learning rate after the warm-up.
    eps: float = 1e-8  # Adam's epsilon.
    b1: float | None = None  # Adam's: how much it keeps of the gradients before. None: 0.9, and 0 for GANs.
    weight_decay: float = 0.0  # Decoupled weight decay (adamw only).
    schedule: Schedule = "constant"  # After the warm-up: stays, falls to 0, or in Burda's stages to a tenth.
    warmup_epochs: float = 0.0  # Epochs over which the learning rate rises from 0 to lr.
    clip: float | None = None  # Largest global norm of the gradient; None never clips.
    ema: float | None = None
    """Decay per step of a moving average of the weights, smaller at the start: (1 + step) / (10 + step). What is
    measured, drawn and saved is then the average; the summary also has the numbers of the last weights. None: none."""
    skip_above: float | None = None  # Skip steps whose gradient has a larger norm; None: those not finite.
    skip_ratio: float | None = None  # Skip those above so many times the median of the last 31, 15 in a row at most.
    max_skipped: int = 100  # Stop after so many steps in a row whose loss or gradient is not finite.


@dataclass(frozen=True)
class RecipeConfig:
    """A function of one's own that makes model, loss, optimizer and data, see `jaxvae.runs.Recipe`."""

    name: str | None = None  # FILE.py:FUNCTION; the run itself fills this in.
    sha256: str | None = None  # Digest of that file; the run itself fills this in.
    options: tuple[str, ...] = ()  # The values of its arguments; the run itself fills this in.


@dataclass(frozen=True)
class Settings:
    """What every run is asked, whatever it trains."""

    seed: int = 0  # Seed of everything random, 0 to 4294967295.
    epochs: int = 20  # Passes over the training images, in all.
    batch_size: int = 128  # Images per step, over all devices together.
    micro_batch: int | None = None  # Images of a device at a time, for large batches; None takes them all at once.
    evaluate_every: int = 1  # Epochs between measurements on the test images.
    test_samples: int = 1  # Posterior samples per test image in the -ELBO.
    validation_fraction: float = 0.0
    """Part of the training images, drawn by the seed, that is not trained on: the epoch with the best bound on them is
    the one that is kept, measured and drawn. 0: all are trained on, and the last epoch is kept."""
    train_fraction: float = 1.0
    """Part of the other training images that is trained on, the same for all seeds unless some are held out for
    validation, which the seed draws: an epoch is a pass over it. 1: all are."""
    patience: int | None = None  # Stop after so many epochs without a better validation bound; None never does.
    save_every: int = 1  # Epochs between checkpoints.
    keep: int = 3  # Checkpoints kept, the newest ones.
    parallel: Parallel = "auto"  # jit uses one device, pmap and mesh use all; auto is jit for one, else pmap.
    precision: Precision = "default"
    """Of the networks' products in training. bfloat16: factors rounded to 8 bits, sums in float32; faster on CPUs with
    matrix units (amx_bf16). float32: all 24 bits. default: JAX's own, float32 on a CPU."""
    progress: bool = True  # Show a progress bar; without it only a run of more than a day is announced.


@dataclass(frozen=True)
class Config(Settings):
    """One training run, resolved: with the versions and devices, all that decides its numbers."""

    data: DataConfig = DataConfig()
    sampler: SamplerConfig = SamplerConfig()
    model: ModelConfig = _MODEL
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    recipe: RecipeConfig = RecipeConfig()
