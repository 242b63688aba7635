r"""What a mean over the test images hides: bound and reconstruction of each group of them, in several runs.

    python -m experiments.train emoji --data.name emoji64.npz --epochs 6 --evaluate-every 6 --workdir runs/emoji-plain
    python -m experiments.train emoji --data.name emoji64.npz --epochs 6 --evaluate-every 6 --sampler.kind rarity \
        --workdir runs/emoji-rarity
    python -m experiments.groups runs/emoji-plain runs/emoji-rarity --by skin_tone

Time: 75 s of processor time for the last, on two busy cores; some 500 s for each training. Expected, if drawing emoji
by how rare their codes are (Amini et al., 2019) helps the skin tones that are told worst: tones closer to each other,
and no tone much worse. Obtained: every tone is worse. Mean and standard error over test images of kin that training
never saw (0 is no tone, 1 to 5 light to dark, 6 two tones), one seed of each run; the difference is image by image:

    tone          drawn, %   by rarity, %   -ELBO, nats    squared error   by rarity more by
    0 (165)         47.4         49.2        -402 +- 695     326 +- 14        5 +- 4
    1 (41)           9.0          6.6        -884 +- 1127    317 +- 22       12 +- 6
    2 (41)           9.0          4.8       -5577 +- 733     224 +- 15       11 +- 5
    3 (41)           9.0          7.2       -4819 +- 739     238 +- 15       15 +- 6
    4 (41)           9.0          9.5       -3989 +- 711     255 +- 14       17 +- 7
    5 (41)           9.0         12.4       -2930 +- 691     276 +- 14       17 +- 7
    6 (20)           7.7         10.4        2552 +- 372     387 +- 7      49.9 +- 2.5

Dark and mixed tones are drawn more, light ones less, and all lose, most those that are drawn more: 661 +- 114 nats of
-ELBO over all images. The tones from 1 to 5 were as frequent as each other before; more draws of the same few images do
not show more of what is unlike them.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import Switch, parser
from jaxvae.commands.parts.launch import launch


@dataclass(frozen=True)
class GroupsOptions:
    """Tables of runs of pictures, a row for each group of their test images, with paired differences to the first."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...", help="Run folders.")]
    by: str | None = None
    """The array of their .npz that says which group an image belongs to, such as skin_tone; by default the labels that
    the runs were given."""
    count: int = 2  # Images of each group in the picture.
    output: str | None = None  # Folder for results.json, .csv, .tex and groups.png; default RUN/measured/groups.
    allow_changes: Switch = False  # Go on although a config.json or the images are not those of its run.


def main(options: GroupsOptions) -> None:
    """Prints the tables and saves the picture."""
    import textwrap
    from pathlib import Path

    import numpy as np

    from jaxvae.commands.parts.output import write_images
    from jaxvae.evaluation import plots

    if not options.runs:
        raise ValueError("there is no run, expected one or more: groups runs/a runs/b --by skin_tone.")
    opened = [opened_run(run, options) for run in options.runs]
    first = opened[0]
    for run, other in zip(options.runs, opened, strict=True):
        if other["test"].sha256 != first["test"].sha256:
            raise ValueError(
                f"{run} sees other test images than {options.runs[0]}, or the same by another protocol, expected the "
                f"same: nothing could be paired."
            )
    if len({run["run"] for run in opened}) < len(opened):
        opened = [{**run, "run": path} for run, path in zip(opened, options.runs, strict=True)]
    names, index = groups_of(first, options.by, "test")
    show(opened, names, index, options)
    few = np.concatenate([np.flatnonzero(index == group)[: options.count] for group in range(len(names))])
    rows = {"test images": first["test"].raw[few] / np.float32(255)} | {run["run"]: run["again"][few] for run in opened}
    folder = Path(options.output or Path(options.runs[0]) / "measured" / "groups")
    title = textwrap.fill(f"up to {options.count} of each: {', '.join(names)}", 6 * len(few))  # as wide as the images
    write_images(
        options.runs[0], "groups", str(folder / "groups.png"), None, lambda: plots.compare(rows, len(few), title=title)
    )


def opened_run(run: str, options: GroupsOptions) -> dict[str, Any]:
    """A run with its test images, what it makes of them, and {quantity: a number for each of them}."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxvae
    from jaxvae.commands.parts.requirements import need_images, need_weights
    from jaxvae.evaluation.latents import generation
    from jaxvae.files import folder_name
    from jaxvae.objectives.similarity import WINDOW, multiscale_similarity
    from jaxvae.runs.held_out import load_held_out

    model, params, config = jaxvae.load(run, allow_changes=options.allow_changes)
    need_images(run, config, "evaluate")
    need_weights(run, model, "there is no bound of each image")
    test = load_held_out(config.data, allow_changes=options.allow_changes)
    given = test.given(model)
    values = {"-ELBO, nats": -jaxvae.per_example(model, params, jax.random.key(test.seed), given)["elbo"]}
    seen = np.clip(np.asarray(model.to_unit(test.x), np.float32), 0, 1)
    again = np.clip(np.asarray(model.to_unit(generation.reconstructions(model, params, given)), np.float32), 0, 1)
    values["squared error"] = np.square(again - seen).sum((1, 2, 3), dtype=np.float64)
    if min(seen.shape[1:3]) >= WINDOW:
        alike = jax.lax.map(lambda pair: multiscale_similarity(*pair), (jnp.asarray(seen), jnp.asarray(again)))
        values["MS-SSIM"] = np.asarray(alike)
    found = {"run": folder_name(run), "model": model, "params": params, "config": config}
    return {**found, "test": test, "again": again, "values": values}


def groups_of(run: dict[str, Any], by: str | None, which: str) -> tuple[list[str], Any]:
    """(names of the groups, the group [N] of each image) of the training or the test images, as the run splits them."""
    from dataclasses import replace

    import numpy as np

    from jaxvae.runs.given_data import load_split
    from jaxvae.runs.held_out import split_training

    config = run["config"]
    asked = config.data if by is None else replace(config.data, label_column=by)
    dataset = load_split(asked, asked.test_split if which == "test" else asked.train_split)
    if which == "train":
        dataset = split_training(config, dataset)[0]
    elif not np.array_equal(dataset.images, run["test"].raw):
        raise ValueError(f"with {by!r} for labels {asked.name} is split otherwise, expected the split of {run['run']}.")
    if dataset.labels is None:
        raise ValueError(
            f"{asked.name} was given no labels, expected groups to tell apart. Name the array of an .npz that has "
            f"them: --by skin_tone."
        )
    labels, kind = np.asarray(dataset.labels), by or "class"
    names = dataset.class_names or tuple(f"{kind} {number}" for number in range(int(labels.max()) + 1))
    return list(names), labels


def drawn(run: dict[str, Any], group: Any, count: int) -> Any:
    """The share [count] of each group among what an epoch of the run draws, by its last parameters."""
    import numpy as np

    from jaxvae.runs.folder.sampling import sampled
    from jaxvae.runs.given_data import load_split
    from jaxvae.runs.held_out import split_training

    config, weights = run["config"], np.full(len(group), 1 / len(group))
    if config.sampler.kind != "uniform":
        images = split_training(config, load_split(config.data, config.data.train_split))[0].examples
        weights = sampled(config, run["model"], images).weights(run["params"])
    return np.bincount(group, weights, count)


def show(opened: list[dict[str, Any]], names: list[str], index: Any, options: GroupsOptions) -> None:
    """Prints what each run draws of the groups, and a table for each quantity."""
    import numpy as np

    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import mean_and_error
    from jaxvae.evaluation.written import number

    _, trained = groups_of(opened[0], options.by, "train")
    runs = [run["run"] for run in opened]
    shares = [drawn(run, trained, len(names)) for run in opened]
    plain = np.bincount(trained, minlength=len(names)) / len(trained)
    rows = [
        (name, number(100 * plain[i], ".1f"), *(number(100 * share[i], ".1f") for share in shares))
        for i, name in enumerate(names)
    ]
    print_table("share of training images, and of what an epoch draws, %", ("group", "images", *runs), rows)
    present = [(name, index == i) for i, name in enumerate(names) if (index == i).any()]
    for quantity in opened[0]["values"]:
        values = [run["values"][quantity] for run in opened]
        digits = 4 if quantity == "MS-SSIM" else None
        rows = [
            (
                name,
                number(rows.sum(), ".0f"),
                *(mean_and_error(value[rows]).text(digits) for value in values),
                *(mean_and_error((value - values[0])[rows]).text(digits) for value in values[1:]),
            )
            for name, rows in [*present, ("all", np.ones(len(index), bool))]
        ]
        more = [f"{run} - {runs[0]}" for run in runs[1:]]
        print_table(f"{quantity}, mean ± standard error over test images", ("group", "images", *runs, *more), rows)


if __name__ == "__main__":
    launch(main, parser(GroupsOptions))
