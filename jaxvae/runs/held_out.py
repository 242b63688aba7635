"""The test and validation examples of a run: one fixed draw, so that the numbers of two runs can be compared."""

import hashlib
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.data.dataset import Dataset
from jaxvae.data.kinds import count_rows
from jaxvae.data.protocols import fixed_binarization
from jaxvae.data.rows import Rows, chunks, read_rows
from jaxvae.data.splits import check_part, part_of, some_rows, validation_rows
from jaxvae.evaluation.measured import Setting
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Model
from jaxvae.networks.precision import in_words
from jaxvae.runs.choices.data import PROTOCOLS
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.records import Told
from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig
from jaxvae.runs.given_data import check_given, load_split, preprocess_of, with_data
from jaxvae.runs.tables.columns import Columns, columns_of
from jaxvae.training.engine.loop import check_data

SEED = 0
FIXED = "fixed draw of Bernoulli(x / 255)"
BATCH = 4096  # images that x is made of at a time
MANY = 2**30  # bytes of x that are kept in memory; of more, x is made when it is asked for
BINARY = (FIXED, "threshold")  # protocols that leave only black and white


class HeldOut(NamedTuple):
    """Test images, or test rows of a table, as the model sees them.

    Attributes:
        x: float32 [N, H, W, C] or [N, D], in the units of the likelihood; of many images `data.rows.Rows`, made when
            they are asked for.
        raw: as they came: uint8 [N, H, W, C], or the values [N, D].
        labels: int64 [N], or None.
        protocol: how x came from what is raw, in words.
        seed: of the draw and of the posterior samples in the evaluation.
        sha256: of x, all of it.
        columns: of a table or of counts; None for images.
        class_names: of the labels 0, 1, 2, ..., or ().
    """

    x: np.ndarray
    raw: np.ndarray
    labels: np.ndarray | None
    protocol: str
    seed: int
    sha256: str
    columns: Columns | None = None
    class_names: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return "image" if self.columns is None else "row"

    @property
    def classes(self) -> np.ndarray | None:
        """The labels as words where the classes have names: for pictures."""
        return self.labels if self.labels is None or not self.class_names else np.array(self.class_names)[self.labels]

    def given(self, model: Model) -> Any:
        """What the model is given: x, or x with its labels; without them where it also takes what has none."""
        if model.context is None:
            return self.x
        if model.context.optional:  # bounds are then on log p(x), as those of other models
            return Labelled(self.x, np.full(len(self.x), model.context.example()))
        return Labelled(self.x, self.labels)

    def some(self, limit: int) -> "HeldOut":
        """`limit` of the images by a fixed permutation, in their order; all of them where there are no more."""
        return self.take(some_rows(len(self.x), limit))

    def take(self, rows: np.ndarray) -> "HeldOut":
        """The images of these indices."""
        labels = None if self.labels is None else self.labels[rows]
        return self._replace(x=self.x[rows], raw=self.raw[rows], labels=labels)

    def rows(self, model: Model) -> dict[str, np.ndarray]:
        """Rows of a picture: the images as they came, and what became of them where they were made black and white."""
        rows = {"original": self.raw}
        return rows | {"black and white": np.asarray(model.to_unit(self.x))} if self.protocol in BINARY else rows


def load_held_out(config: DataConfig, split: str | None = None, *, allow_changes: bool = False) -> HeldOut:
    """Loads a split, by default that of the test, and draws it once.

    Args:
        config: of a run, whose digests are then compared; or any other, with a protocol by name.
        split: another one, such as `config.train_split`.
        allow_changes: go on with other data than the run was given, and say so.

    Raises:
        ValueError: for other data than the run was given, and as `jaxvae.data.load`.
    """
    split = config.test_split if split is None else split
    dataset = load_split(config, split)
    check_given(config, dataset, split, allow_changes=allow_changes)
    return draw(dataset, config)


class RunData(NamedTuple):
    """What a run is given.

    Attributes:
        config: with the data noted in it.
        raw: what is trained on: uint8 [N, H, W, C], or x [N, D] of the rows of a table.
        examples: the same as training takes them, with labels where the model is told them.
        validation: the fixed draw of those that choose the epoch, by no means test images; None for a run without.
        test: the fixed draw of the test images.
    """

    config: Config
    raw: np.ndarray
    examples: Any
    validation: HeldOut | None
    test: HeldOut


def load_run_data(config: Config, told: Told | None = None) -> RunData:
    """Loads what a config names; `told` is which labels its model is told, by default what its kind says.

    Raises:
        ValueError, FileNotFoundError: for data that cannot be loaded, or fill no batch; before any other work.
    """
    train = load_split(config.data, config.data.train_split)
    test = load_split(config.data, config.data.test_split)
    config = with_data(config, train, test, told)
    columns = columns_of(config.data)
    count = count_rows(train.examples)
    train, held = split_training(config, train)
    check_part(config.train_fraction, count - (0 if held is None else count_rows(held.examples)), config.batch_size)
    check_data(train.examples, config.batch_size)
    if columns is not None:
        train = train._replace(examples=columns.to_x(train.examples, train.source))
    validation = None if held is None else draw(held, config.data)
    examples = training_examples(config.model, train, told)
    return RunData(config, train.examples, examples, validation, draw(test, config.data))


def split_training(config: Config, train: Dataset) -> tuple[Dataset, Dataset | None]:
    """The training images that are trained on, and those that choose the epoch, if a run has any."""
    validation = None
    if config.validation_fraction:
        rows, held = validation_rows(count_rows(train.examples), config.validation_fraction, config.seed)
        train, validation = train.take(rows), train.take(held)
    if config.train_fraction < 1:
        count = count_rows(train.examples)
        train = train.take(some_rows(count, part_of(count, config.train_fraction)))
    return train, validation


def training_examples(config: ModelConfig, train: Dataset, told: Told | None = None) -> Any:
    """Images [N, H, W, C], or x [N, D] of rows, with labels [N] where the model is told them.

    It takes all, or a share by a fixed permutation; the labels that are not shown are -1.

    Example:
        >>> from jaxvae.data import load
        >>> examples = training_examples(ModelConfig(kind="semi_supervised", labelled=0.1), load("digits"))
        >>> int((examples.context >= 0).sum()), len(examples.value)
        (150, 1500)
    """
    told = told or KINDS[config.kind].labels
    if told == "none" or train.labels is None:
        return train.examples
    labels = train.labels.astype(np.int32)
    if told == "some":
        known = some_rows(len(labels), part_of(len(labels), config.labelled))
        labels = np.where(np.isin(np.arange(len(labels)), known), labels, -1).astype(np.int32)
    return Labelled(train.examples, labels)


def draw(dataset: Dataset, config: DataConfig) -> HeldOut:
    """Makes x, once for all: "dynamic" becomes the fixed binarisation with the same probabilities."""
    columns, protocol, labels = columns_of(config), config.protocol, dataset.labels
    raw, names = dataset.examples, dataset.class_names
    if columns is None and protocol == "dynamic":
        binary, digest = fixed_binarization(np.asarray(raw), SEED)
        return HeldOut((binary > 0).astype(np.float32), raw, labels, FIXED, SEED, digest, None, names)
    x = made(raw, preprocess_of(protocol, config.levels)) if columns is None else columns.to_x(raw, dataset.source)
    told = f"{protocol} ({config.levels})" if PROTOCOLS[protocol].levels and config.levels != 256 else protocol
    found = hashlib.sha256()
    for part in chunks(x, BATCH):
        found.update(np.ascontiguousarray(part).data)
    return HeldOut(x, raw, labels, told, SEED, found.hexdigest(), columns, names)


def made(raw: Any, preprocess: Any) -> Any:
    """x float32 [N, H, W, C] of raw images, one draw for each, a batch at a time; `Rows` where they are many.

    Example:
        >>> made(np.zeros((2, 4, 4, 1), np.uint8), preprocess_of("grey")).dtype.name
        'float32'
    """
    keys = jax.random.split(jax.random.key(SEED), len(raw))
    make = jax.jit(jax.vmap(preprocess))

    def of_rows(index: np.ndarray) -> np.ndarray:
        parts = [index[start : start + BATCH] for start in range(0, len(index), BATCH)]
        return np.concatenate([np.asarray(make(keys[part], read_rows(raw, part))) for part in parts])

    x = Rows(of_rows, raw.shape, np.float32)
    return x if x.nbytes > MANY else x[:]


def setting_of(config: DataConfig, test: HeldOut, limit: int | None = None) -> Setting:
    """The setting of numbers measured on the test images, or on `limit` of them.

    Raises:
        ValueError, TypeError: if limit is no positive integer.
    """
    of = len(test.x)
    count = of if limit is None else min(positive_integer("limit", limit), of)
    own = os.path.isabs(config.name)  # a run of one's own data keeps their path
    data = f"{os.path.basename(config.name) if own else config.name}/{config.test_split}"
    return Setting(data, count, of, test.protocol, test.seed, test.sha256, precision=in_words())


def bin_width(config: Config) -> float | None:
    """The width of one discrete value of x, see `bits_per_dimension`, or None where a run's x has no discrete values.

    Example:
        >>> [bin_width(Config(data=DataConfig(protocol=name))) for name in ("dynamic", "grey")]
        [1.0, None]
    """
    if config.recipe.name is not None:  # whose likelihood no config describes
        return None
    own = KINDS[config.model.kind].protocols  # a density of its own
    discrete = not own and LIKELIHOODS[config.model.likelihood].make(config.model, config.data.levels).discrete
    made = PROTOCOLS[config.data.protocol]
    return made.bin_width if discrete or not made.dequantized else 1 / config.data.levels
