"""Pictures of paths and planes in the latent space, as tiled images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxvae.evaluation.plots.image_grids import Images, Values, framed, gap_of, show, unit_images, value_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def interpolations(
    images: Images,
    a: Images | None = None,
    b: Images | None = None,
    *,
    rows: Sequence[str] = (),
    title: str | None = "Interpolations between posterior means",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Paths [P, steps, H, W, C], a row for each pair of examples.

    Args:
        images: see `jaxvae.evaluation.latents.interpolate`.
        a, b: [P, H, W, C] the originals at the two ends, both or none; drawn outside the path.
        rows: [P] what each row is, such as the kind of its path.

    Raises:
        ValueError: for images of another shape or scale, one end without the other, or rows of another number.
    """
    cells = unit_images("images", images, 2)
    pairs, steps, *event = cells.shape
    if len(rows) not in (0, pairs):
        raise ValueError(f"rows has {len(rows)} entries, expected {pairs} for images {cells.shape}, or none.")
    gap = gap_of(cells)
    column_gaps, labels = [gap] * (steps - 1), ["start", *[""] * (steps - 2), "end"]
    if (a is None) != (b is None):
        raise ValueError(f"{'b' if b is None else 'a'} is None, expected both ends a and b, or neither.")
    if a is not None and b is not None:
        ends = [unit_images(name, end)[:, None] for name, end in (("a", a), ("b", b))]
        for name, end in zip("ab", ends, strict=True):
            if end.shape != (pairs, 1, *event):
                raise ValueError(f"{name} has shape {end[:, 0].shape}, expected {(pairs, *event)}.")
        cells = np.concatenate([ends[0], cells, ends[1]], axis=1)
        column_gaps, labels = [4 * gap, *column_gaps, 4 * gap], ["original", *labels, "original"]
    row_gaps = [gap] * (pairs - 1)
    return show(cells, ax, title=title, row_gaps=row_gaps, column_gaps=column_gaps, columns=labels, rows=rows)


def strength_label(value: float, unit: str) -> str:
    """What a latent carries: "2.25 nats", or "variance 0.50".

    Example:
        >>> strength_label(2.25, "nats"), strength_label(0.5, "variance")
        ('2.25 nats', 'variance 0.50')
    """
    return f"{value:.2f} nats" if unit == "nats" else f"{unit} {value:.2f}"


def traversals(
    images: Images,
    latents: Sequence[int],
    values: Values,
    kl: Values | None = None,
    *,
    unit: str = "nats",
    title: str | None = "Traversals: one latent moves, the others stay",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Traversals [L, V, H, W, C], a row for each latent, the one of largest KL first.

    Args:
        images: row l is `traverse(model, params, z, latents[l], values)`.
        latents: [L] which latent moves in each row.
        values: [V] the values it takes, in standard deviations of the prior.
        kl: [L] the KL of those latents in nats, to sort and label the rows by; or what else they are ordered by.
        unit: of kl, such as "variance" for that of the posterior means.

    Raises:
        ValueError: for images of another shape or scale, or labels that do not fit them.
    """
    cells = unit_images("images", images, 2)
    rows, columns = cells.shape[:2]
    for name, labels, size in (("latents", latents, rows), ("values", values, columns), ("kl", kl, rows)):
        if labels is not None and len(labels) != size:
            raise ValueError(f"{name} has {len(labels)} entries, expected {size} for images {cells.shape}.")
    order = np.arange(rows) if kl is None else np.argsort(-np.asarray(kl), kind="stable")
    return show(
        framed(cells[order]),
        ax,
        title=title,
        row_gaps=[gap_of(cells)] * (rows - 1),
        column_gaps=[0] * (columns - 1),
        rows=[f"z[{latents[i]}]" + ("" if kl is None else f"   {strength_label(kl[i], unit)}") for i in order],
        columns=value_labels(values, 11),
        x="value of the latent, in prior standard deviations",
    )


def manifold(
    images: Images,
    values: Values,
    latents: tuple[int, int] = (0, 1),
    *,
    title: str | None = "The latent plane",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """The plane of two latents as a grid [n, n, H, W, C], row 0 at the top.

    Args:
        images: see `jaxvae.evaluation.latents.manifold`.
        values: [n] the values both latents take, ascending: `gaussian_quantiles(n)`.
        latents: which latent grows to the right, and which upwards.

    Raises:
        ValueError: for images of another shape or scale, or values that do not fit them.
    """
    cells = unit_images("images", images, 2)
    side = len(values)
    if cells.shape[:2] != (side, side):
        raise ValueError(f"images has shape {cells.shape}, expected ({side}, {side}, ...) for {side} values.")
    labels, none = value_labels(values, 7), [0] * (side - 1)
    return show(
        framed(cells),
        ax,
        title=title,
        row_gaps=none,
        column_gaps=none,
        rows=labels[::-1],
        columns=labels,
        x=f"z[{latents[0]}], in prior standard deviations",
        y=f"z[{latents[1]}]",
    )


def attribute_traversals(
    images: Images,
    strengths: Values,
    originals: Images | None = None,
    verdicts: Sequence[str] = (),
    *,
    title: str | None = "Codes moved along an attribute",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Examples moved along a direction of the code space [N, S, H, W, C], a row for each example.

    Args:
        images: decoded `jaxvae.evaluation.latents.traverse_attribute`.
        strengths: [S] how far along the direction each column is.
        originals: [N, H, W, C] what was encoded, drawn on the left, or None.
        verdicts: [S] what a judge says of each column, under its strength, such as "93 %".

    Raises:
        ValueError: for images of another shape or scale, or labels that do not fit them.

    Example:
        >>> figure, ax = attribute_traversals(np.zeros((2, 3, 4, 4, 1)), [-1.0, 0.0, 1.0])
        >>> [tick.get_text() for tick in ax.get_xticklabels()]
        ['−1', '0', '1']
    """
    cells = unit_images("images", images, 2)
    rows, columns, *event = cells.shape
    for name, labels in (("strengths", strengths), ("verdicts", verdicts)):
        if len(labels) not in ((columns,) if name == "strengths" else (0, columns)):
            raise ValueError(f"{name} has {len(labels)} entries, expected {columns} for images {cells.shape}.")
    gap = gap_of(cells)
    words = [f"{strength:g}".replace("-", "\N{MINUS SIGN}") for strength in strengths]
    words = [f"{word}\n{verdict}" for word, verdict in zip(words, verdicts, strict=True)] if verdicts else words
    gaps = [gap] * (columns - 1)
    if originals is not None:
        first = unit_images("originals", originals)
        if first.shape != (rows, *event):
            raise ValueError(f"originals has shape {first.shape}, expected {(rows, *event)}.")
        cells = np.concatenate([first[:, None], cells], axis=1)
        gaps, words = [4 * gap, *gaps], ["original", *words]
    return show(cells, ax, title=title, row_gaps=[gap] * (rows - 1), column_gaps=gaps, columns=words)


def partial_draws(
    images: Images, kept: Sequence[int], groups: int, *, title: str | None = None, ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """Examples whose upper groups of latents were kept and whose lower ones drawn anew, [N, R, 1 + V, H, W, C].

    Args:
        images: for each example a row for each number of kept groups: the example itself, then V draws.
        kept: [R] how many groups each row keeps, counted from the top.
        groups: of the hierarchy.
        title: by default what is seen.

    Raises:
        ValueError: for images of another shape or scale, or numbers that do not fit them.
    """
    cells = unit_images("images", images, 3)
    examples, rows, columns = cells.shape[:3]
    if len(kept) != rows:
        raise ValueError(f"kept has {len(kept)} entries, expected {rows} for images {cells.shape}.")
    gap = gap_of(cells)
    return show(
        cells.reshape(examples * rows, *cells.shape[2:]),
        ax,
        title=title or "Upper groups of a test image kept (left), the lower drawn anew",
        row_gaps=[gap * (4 if (row + 1) % rows == 0 else 1) for row in range(examples * rows - 1)],
        column_gaps=[3 * gap, *[gap] * (columns - 2)],
        rows=[f"{number} of {groups} kept" for number in kept] * examples,
    )
