"""Kinds of data that a run is trained on, and the protocols by which their examples become x, by name."""

from typing import NamedTuple

from jaxvae.runs.choices.records import DataKind, Protocol


class Examples(NamedTuple):
    """What a kind of data is called, and which options it takes.

    Attributes:
        noun: an example; the plural has an s.
        own: what a user may have of it, for messages.
        axes: of an array of them.
        preset: that takes a file of one's own.
        reads, ignores: see `Likelihood`.
    """

    noun: str
    own: str
    axes: str
    preset: str
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


class Made(NamedTuple):
    """How x is made of an example.

    Attributes:
        kind: of the data.
        meaning: x, in words, see `meaning`.
        bin_width: of one discrete value of x under a likelihood that is a probability; None where x has none.
        dequantized: whether x has uniform noise, which makes the width under a density 1 / levels.
        levels: whether it tells so many grey levels apart as data.levels says.
    """

    kind: DataKind
    meaning: str
    bin_width: float | None = None
    dequantized: bool = False
    levels: bool = False


PICTURES = (
    "data.size",
    "data.crop",
    "data.channels",
    "data.background",
    "data.skip_unreadable",
    "data.levels",
    "data.flip",
    "data.shift",
    "data.jitter",
    "model.network",
    "model.output_bias",
)
EXAMPLES: dict[str, Examples] = {
    "images": Examples(
        "image",
        "your own pictures: a folder of them, an .npz or an .npy file. Set --data.name FOLDER; pictures of several "
        "sizes or kinds want --data.size, --data.channels or --data.background too.",
        "batch, height, width, channels",
        "images",
    ),
    "table": Examples(
        "row",
        "your own table: a .csv, .tsv, .npy or .npz file of numbers. Set --data.name FILE.",
        "batch, column",
        "table",
        reads=("data.drop",),
        ignores=PICTURES,
    ),
    "counts": Examples(
        "row",
        "your own counts: an .npy, .npz, .csv or .tsv file of whole numbers. Set --data.name FILE.",
        "batch, column",
        "counts",
        reads=("data.drop",),
        ignores=PICTURES,
    ),
}

PROTOCOLS: dict[str, Made] = {
    "grey": Made("images", "x = pixel / 255"),
    "threshold": Made("images", "x = 1 where the pixel is at least 128, else 0", 1.0),
    "dynamic": Made("images", "x = 1 with probability pixel / 255, drawn anew each time, else 0", 1.0),
    "levels": Made("images", "x = {pixel}, a whole number 0 to {last}", 1.0, levels=True),
    "dequantize": Made("images", "x = ({pixel} + u) / {levels} with uniform u", dequantized=True, levels=True),
    "standardize": Made("table", "x = (value - mean) / std, with mean and std of each column of the training rows"),
    "counts": Made("counts", "x = the count itself; the sum of a row is left as it is", 1.0),
}


def meaning(protocol: str, levels: int = 256) -> str:
    """What x is, in words.

    Example:
        >>> meaning("levels"), meaning("levels", 17)
        ('x = pixel, a whole number 0 to 255', 'x = round(16 pixel / 255), a whole number 0 to 16')
    """
    pixel = "pixel" if levels == 256 else f"round({levels - 1} pixel / 255)"
    return PROTOCOLS[protocol].meaning.format(pixel=pixel, last=levels - 1, levels=levels)


def fitting(protocols: tuple[Protocol, ...], kind: DataKind) -> tuple[Protocol, ...]:
    """Those of the protocols that make x of this kind of data, in their order.

    Example:
        >>> fitting(("grey", "dequantize", "standardize"), "table")
        ('standardize',)
    """
    return tuple(name for name in protocols if PROTOCOLS[name].kind == kind)


def noun(kind: DataKind, count: int | None = None) -> str:
    """What examples are called: one of them, or so many.

    Example:
        >>> noun("images"), noun("table", 2)
        ('image', 'rows')
    """
    word = EXAMPLES[kind].noun
    return word if count in (None, 1) else f"{word}s"
