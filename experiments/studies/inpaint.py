"""Fills in missing pixels of test images by a run trained on whole ones: E[x_missing | x_observed], and draws of x.

    python -m experiments.inpaint runs/digits
    python -m experiments.inpaint runs/mnist

Time: about 60 s on two cores for the digits. Expected: the error falls with the number of samples K, below that of a
Gaussian of the pixels where the gap is small enough for the rest to say which digit it is. Obtained for the digits
preset, root mean square error of the lower half, a square in the middle and half of the pixels at random: mean image
0.281, 0.387, 0.280; Gaussian 0.229, 0.270, 0.177; K = 1 0.305, 0.295, 0.239; K = 1000 0.231, 0.224, 0.162, all +- 0.01.
With 6 effective samples of 1000 the lower half is not there yet.

For the mnist preset (binary pixels; 80 s of processor time), on the first 100 test images: Gaussian 0.263, 0.404 and
0.193, K = 1 0.343, 0.562 and 0.236, K = 1000 0.303, 0.484 and 0.191, all +- 0.01, with 4, 3 and 8 effective samples:
only the random mask is done.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Numbers, output_path

MISSING = (0.25, 0.56, 0.85)  # a blue


@dataclass(frozen=True)
class InpaintOptions:
    """Errors on missing pixels as the importance samples grow, beside those of the mean image and of a Gaussian."""

    run: RunFolder
    samples: tuple[int, ...] = (1, 10, 100, 1000)  # Importance samples, one or several numbers.
    images: int = 100  # Test images, picked by a fixed permutation.
    missing: float = 0.5  # Part of the pixels missing under the random mask.
    seed: int = 0  # Of the masks and samples.
    output: Numbers = None  # A .json file; the picture lies beside it. By default in the run folder.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: InpaintOptions) -> None:
    """Prints the table, writes the numbers and the picture."""
    from pathlib import Path

    import jax
    import numpy as np

    import jaxvae
    from jaxvae.checks import finite_number, positive_integer
    from jaxvae.commands.parts.requirements import need_images
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.bounds.gaussian import impute_gaussian
    from jaxvae.evaluation.bounds.imputation import impute
    from jaxvae.evaluation.bounds.likelihood import sample_counts
    from jaxvae.files import folder_name, make_folder, write_json
    from jaxvae.runs.held_out import load_held_out

    path = output_path(options.output, Path(options.run) / "inpaint.json")
    if path.suffix != ".json":
        raise ValueError(f"output is {str(path)!r}, expected a name that ends in .json.")
    finite_number("missing", options.missing, high=0.99, above=True)
    counts = sample_counts(list(options.samples))
    model, params, config = jaxvae.load(options.run, allow_changes=options.allow_changes)
    need_images(options.run, config, "sample")
    train, test = (
        load_held_out(config.data, config.data.train_split, allow_changes=options.allow_changes),
        load_held_out(config.data, allow_changes=options.allow_changes),
    )
    test = test.some(positive_integer("images", options.images, 2))
    x = test.x

    def unit(values: Any) -> np.ndarray:
        return np.asarray(model.to_unit(values), np.float32)

    rows: dict[str, Any] = {}
    pictures: dict[str, Any] = {name: in_colours(row[:10]) for name, row in test.rows(model).items()}
    for name, masks in make_masks(x.shape, options.missing, options.seed).items():
        guesses = {"mean image": np.broadcast_to(unit(train.x).mean(0), x.shape)}
        guesses["Gaussian of the pixels"] = impute_gaussian(unit(train.x), unit(x), masks).clip(0, 1)
        for count in counts:
            key = jax.random.key(options.seed)
            found = impute(model, params, key, x, masks, samples=count, draws=3)
            guesses[f"K = {count}"] = unit(found.mean)
        rows[name] = {guess: root_mean_square(images, unit(x), masks) for guess, images in guesses.items()}
        rows[name]["effective samples"] = (float(np.median(found.effective_samples)), None)
        seen = np.where(masks.all(-1, keepdims=True), in_colours(unit(x)), MISSING)
        shown = {"seen": seen, "mean": unit(found.mean), "draw": unit(found.draws[:, 0])}
        pictures |= {f"{name}: {kind}": in_colours(images[:10]) for kind, images in shown.items()}
    print_errors(rows, f"{options.run}: root mean square error on missing pixels, {len(x)} images")
    setting = {"images": len(x), "seed": options.seed, "missing": options.missing, "sha256": test.sha256}
    make_folder(path.parent)
    write_json(path, {"run": folder_name(options.run), "setting": setting, "errors": rows})
    print(path)
    title = f"Missing pixels (blue) filled in with K = {counts[-1]} importance samples"
    print(plots.save(plots.compare(pictures, 10, title=title)[0], path.with_suffix(".png")))


def in_colours(images: Any) -> Any:
    """Images on [0, 1] with three channels, so that what is missing can have a colour that no grey pixel has."""
    import numpy as np

    images = np.asarray(images, np.float32) / (255 if images.dtype == np.uint8 else 1)
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def make_masks(shape: tuple[int, ...], missing: float, seed: int) -> dict[str, Any]:
    """{name: booleans [N, H, W, C], true where observed}: the lower half gone, a square gone, pixels at random."""
    import numpy as np

    count, height, width, _ = shape
    half, square = (np.ones((height, width, 1), bool) for _ in range(2))
    half[height // 2 :] = False
    square[height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    random = np.random.default_rng(seed).uniform(size=(count, height, width, 1)) >= missing
    masks = {"lower half": half[None], "square": square[None], "random": random}
    return {name: np.broadcast_to(mask, shape) for name, mask in masks.items()}


def root_mean_square(guess: Any, x: Any, masks: Any) -> tuple[float, float]:
    """The root of the mean squared error on missing pixels of [0, 1], and its standard error over images."""
    import numpy as np

    missing = ~masks
    squares = (np.square(guess - x) * missing).sum((1, 2, 3)) / np.maximum(missing.sum((1, 2, 3)), 1)
    root = float(np.sqrt(squares.mean()))
    return root, float(squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * root))


def print_errors(rows: Any, title: str) -> None:
    """A row for each guess, a column for each mask."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import Estimate
    from jaxvae.evaluation.written import number

    cells = {guess: [row[guess] for row in rows.values()] for guess in next(iter(rows.values()))}
    words = [
        (guess, *(Estimate(v, e, 0).text(3) if e else number(v, ".1f") for v, e in row)) for guess, row in cells.items()
    ]
    print_table(title, ("guess", *rows), words)


if __name__ == "__main__":
    launch(main, parser(InpaintOptions))
