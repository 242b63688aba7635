"""Every number of a contender, each measured in the same way of whatever can be asked for it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.bounds.report import evaluate
from jaxvae.evaluation.compression import compress, decompress
from jaxvae.evaluation.latents.codes import posterior_means
from jaxvae.evaluation.probes.probes import linear_probe
from jaxvae.evaluation.scoreboard.draws import draw_many, score_draws
from jaxvae.evaluation.scoreboard.judged import Judged
from jaxvae.evaluation.scoreboard.paths import Paths, decoded_paths
from jaxvae.evaluation.scoreboard.records import Cell, cell
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Model, Params

Codes = Callable[[np.ndarray], np.ndarray]
CODED, PROBED, PAIRS, STEPS = 50, 5000, 100, 16
SQUARED = 256  # pixels, of which a square matrix for each image is soon made
COLLAPSED = 0.1  # of the test images; draws that cover fewer have collapsed


def score_model(
    model: Model, params: Params, judged: Judged, *, codes: Codes | None = None
) -> tuple[dict[str, Cell], np.ndarray]:
    """All cells of a contender by the names in `COLUMNS`, and its draws x, whole numbers [draws, ...].

    What a model does not have has no number, and its cell says why.

    Args:
        model, params: of the contender, whose x is that of the judged.
        judged: the data, and how they are used.
        codes: x [N, ...] -> [N, Z], where the model has none of its own that a probe could read.

    Raises:
        ValueError, TypeError: for a model of other examples, or one that neither scores nor draws.

    Example:
        >>> from jaxvae.evaluation.measured import Setting
        >>> from jaxvae.evaluation.samples.features import pixel_features
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> x = np.float32(np.random.default_rng(0).uniform(size=(60, 4, 4, 1)) < 0.5)
        >>> setting = Setting("coins", 30, 30, "threshold", 0, "c0ffee")
        >>> model = vae(MLPEncoder(2, (8,)), MLPDecoder((4, 4, 1), hidden=(8,)), event_shape=(4, 4, 1), latent_dim=2)
        >>> judged = Judged(x[:30], x[30:], None, None, 2, pixel_features(), setting, samples=5, draws=40)
        >>> cells, draws = score_model(model, jax.jit(model.init)(jax.random.key(0), x[0]), judged)
        >>> cells["nats"].evidence, round(cells["nats"].value) in range(11, 14), draws.shape
        ('importance bound', True, (40, 4, 4, 1))
    """
    found = _likelihood(model, params, judged)
    x, speeds = draw_many(model, params, judged)
    found |= speeds | score_draws(x, judged)
    found |= _told(("bytes",), lambda: _coded(model, params, judged))
    found |= _told(("path", "jump"), lambda: _paths(model, params, judged))
    found |= _told(("probe",), lambda: _probed(model, params, judged, codes))
    owned = {name: part for name, part in params.items() if name != "critic"}
    rest = "; without its critic" if "critic" in params else ""
    return {**found, "parameters": Cell(count_numbers(owned), setting=f"of the model{rest}")}, x


def findings(cells: dict[str, Cell]) -> tuple[str, ...]:
    """What has to be said in words: a collapse, copies.

    Example:
        >>> findings({"coverage": Cell(0.01, 0.005), "copied": Cell(0.0, 0.1)})
        ('collapsed: its draws cover 1 % of the test images, whatever their precision.',)
    """
    said = []
    coverage, copied = (cells.get(name, Cell(None)) for name in ("coverage", "copied"))
    if coverage.value is not None and coverage.value < COLLAPSED:
        share = f"{100 * coverage.value:.0f} %"
        said.append(f"collapsed: its draws cover {share} of the test images, whatever their precision.")
    if copied.value is not None and copied.value > 0.5:
        said.append(
            f"copies: {100 * copied.value:.0f} % more of its draws than by chance are nearest to training images."
        )
    return tuple(said)


def count_numbers(params: Params) -> float:
    """How many numbers there are in a tree of arrays.

    Example:
        >>> count_numbers({"w": np.zeros((2, 3)), "b": np.zeros(2)})
        8.0
    """
    return float(sum(np.size(leaf) for leaf in jax.tree.leaves(params)))


def _likelihood(model: Model, params: Params, judged: Judged) -> dict[str, Cell]:
    """-log P or the limit nearest to it; every x is a whole number, and the same for all contenders."""
    if model.evidence == "none":
        why = Cell(None, evidence="none", setting="it says nothing of log P")
        return {"nats": why, "bits": why}
    samples = judged.samples if model.evidence in ("weights", "bound") and not _certain(model) else 1
    rows = evaluate(model, params, judged.test, judged.setting, samples=samples, bin_width=1.0)
    named = {row.name: row for row in rows}
    best = next(named[name] for name in ("-log p", f"-IW-{samples}", "-ELBO") if name in named)
    both = {"nats": best, "bits": named["bits per dimension"]}
    return {name: cell(row.estimate, f"{row.name}, {row.setting}", row.setting.evidence) for name, row in both.items()}


def _certain(model: Model) -> bool:
    """Whether the posterior is sure of its code, so that a second sample is the first again."""
    return model.posterior.support == "codebook"


def _coded(model: Model, params: Params, judged: Judged) -> dict[str, Cell]:
    x = judged.scored[:CODED]
    if model.prior.flow is not None and model.prior.support == "bins" and x[0].size > SQUARED:
        raise ValueError(f"a flow codes by the Jacobian of all {x[0].size} pixels, minutes for {len(x)} images.")
    stream = compress(model, params, x)
    if not np.array_equal(decompress(model, params, stream), x):
        raise FloatingPointError("the images that were coded do not come back.")
    size = 4 * (len(stream.words) - stream.initial) / len(x)
    words = f"{len(x)} of {judged.setting.data}, coded and decoded bit for bit, without {stream.initial} initial words"
    return {"bytes": Cell(size, setting=words)}


def _paths(model: Model, params: Params, judged: Judged) -> dict[str, Cell]:
    return path_cells(decoded_paths(model, params, jax.random.key(judged.setting.seed), pairs=PAIRS, steps=STEPS))


def path_cells(found: Paths) -> dict[str, Cell]:
    """The cells of `PAIRS` ways of `STEPS` steps."""
    words = f"{PAIRS} lines of {STEPS} steps between codes that the prior draws, in pixels of the mean picture"
    return {"path": cell(found.length, words), "jump": cell(found.jump, words)}


def _probed(model: Model, params: Params, judged: Judged, codes: Codes | None) -> dict[str, Cell]:
    if judged.train_labels is None or judged.test_labels is None:
        raise ValueError("the data have no labels for a probe.")
    if codes is None and (model.posterior.support in ("none", "bins") or model.evidence == "exact"):
        raise ValueError("it does not encode: there is no code of an image to read.")
    count = min(PROBED, len(judged.train))
    read = codes or (lambda x: _flat(posterior_means(model, params, x)))
    return probe_cell(read(judged.train[:count]), read(judged.test), judged)


def probe_cell(train: np.ndarray, test: np.ndarray, judged: Judged) -> dict[str, Cell]:
    """The cell of codes [n, Z] of the first training images and [N, Z] of all test images."""
    count, size = train.shape
    told = (train, np.asarray(judged.train_labels)[:count]), (test, np.asarray(judged.test_labels))
    words = f"logistic regression on {size} numbers of {count} training images, {len(test)} judged"
    return {"probe": cell(linear_probe(*told), words)}


def _flat(codes: Any) -> np.ndarray:
    count = count_examples(codes)
    return np.concatenate([np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(codes)], axis=1)


def _told(names: tuple[str, ...], measure: Callable[[], dict[str, Cell]]) -> dict[str, Cell]:
    """The cells, or empty ones that say why there are none."""
    try:
        return measure()
    except (ValueError, TypeError, NotImplementedError, FloatingPointError) as error:
        return {name: Cell(None, setting=str(error)) for name in names}
