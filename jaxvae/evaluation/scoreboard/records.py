"""What a scoreboard is made of: columns, and for each contender cells that say how far to believe them."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxvae.evaluation.statistics import Estimate


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        title: as it is printed.
        better: "lower", "higher", "near 1", "near 0", or "" where neither is.
        about: what the number is, in a sentence.
    """

    title: str
    better: str
    about: str


class Cell(NamedTuple):
    """A number of a contender.

    Attributes:
        value: None where there is none, and the setting then says why.
        standard_error: None where there is none.
        evidence: what it says of log p(x), "exact", "importance bound", "bound" or "none"; "" where it is about
            something else.
        setting: under which circumstances, in words.
    """

    value: float | None
    standard_error: float | None = None
    evidence: str = ""
    setting: str = ""

    @property
    def text(self) -> str:
        """The number as a table prints it: a bound as what -log p(x) is at most.

        Example:
            >>> Cell(80.91, 0.7, "exact").text, Cell(90.2, 0.7, "importance bound").text, Cell(None).text
            ('80.9 ± 0.7', '≤ 90.2 ± 0.7', '')
        """
        if self.value is None:
            return ""
        mark = "\N{LESS-THAN OR EQUAL TO} " if self.evidence.endswith("bound") else ""
        if not self.standard_error:
            whole = float(self.value).is_integer() or abs(self.value) >= 1000
            return mark + (f"{self.value:,.0f}" if whole else f"{self.value:.3g}")
        if abs(self.value) >= 1000:
            return f"{mark}{self.value:,.0f} \N{PLUS-MINUS SIGN} {self.standard_error:,.0f}"
        decimals = min(max(math.ceil(-math.log10(self.standard_error / 3)), 0), 4)
        shown = Estimate(self.value, self.standard_error, 2).text(decimals)
        return mark + str(shown)


class Standing(NamedTuple):
    """A row of the table: a contender and what was measured of it.

    Attributes:
        name: of the contender, and of its folder.
        family: to which it belongs, such as "flow".
        about: what it is, in a few words.
        columns: by the names in `COLUMNS`.
        notes: findings in words, such as a collapse.
        failed: why there is nothing to see, "" where there is.
        draws: uint8 [16, H, W, C], the first draws; None where there are none.
    """

    name: str
    family: str
    about: str
    columns: Mapping[str, Cell] = {}
    notes: tuple[str, ...] = ()
    failed: str = ""
    draws: Any = None

    def as_json(self) -> dict[str, Any]:
        """All but the draws, for scoreboard.json.

        Example:
            >>> Standing("kde", "density", "kernels", {"nats": Cell(1.0, 0.1, "bound")}).as_json()["columns"]
            {'nats': {'value': 1.0, 'standard_error': 0.1, 'evidence': 'bound', 'setting': ''}}
        """
        columns = {name: cell._asdict() for name, cell in self.columns.items()}
        return {**self._asdict(), "columns": columns, "notes": list(self.notes)} | {"draws": None}


COLUMNS: dict[str, Column] = {
    "nats": Column("-log P, nats", "lower", "minus log P of a test image, exact or an upper limit, in nats"),
    "bits": Column("bits/dim", "lower", "the same for each pixel, in bits"),
    "bytes": Column("bytes", "lower", "of an image, coded without loss and decoded again"),
    "recall": Column("recall", "higher", "the share of test images within the region that the draws fill"),
    "coverage": Column("coverage", "higher", "the share of test images that have a draw among their neighbours"),
    "precision": Column("precision", "higher", "the share of draws within the region that the test images fill"),
    "density": Column("density", "near 1", "how many test images have a draw as a neighbour, over what is expected"),
    "frechet": Column("Frechet", "lower", "Frechet distance of the features of draws and of test images"),
    "kernel": Column("kernel", "lower", "kernel distance of the same features, free of bias"),
    "inception": Column(
        "Inception", "higher", "Inception Score by the classifier: sure of each draw, all classes seen"
    ),
    "copied": Column("copied", "near 0", "0 where draws lie no nearer to training than to test images, 1 always"),
    "one": Column("draws/s, one", "higher", "draws in a second of processor time, one by one"),
    "many": Column("draws/s, 1000", "higher", "draws in a second of processor time, many at once"),
    "path": Column("path", "near 1", "length of the decoded way between two codes over the distance of its ends"),
    "jump": Column("jump", "near 1", "the longest step of that way over the mean step"),
    "probe": Column("probe", "higher", "the share of test images whose class a linear probe reads off the code"),
    "parameters": Column("parameters", "", "numbers that are fitted or trained, and needed to draw or to score"),
    "minutes": Column("minutes", "", "of processor time in training, without compiling"),
    "memory": Column("memory, MB", "", "of the compiled training program: the data, its state and what a step needs"),
}


def cell(estimate: Estimate, setting: str, evidence: str = "") -> Cell:
    """The cell of an estimate.

    Example:
        >>> cell(Estimate(0.5, float("nan"), 1), "a coin")
        Cell(value=0.5, standard_error=None, evidence='', setting='a coin')
    """
    error = float(estimate.standard_error)
    return Cell(float(estimate.mean), error if error >= 0 else None, evidence, setting)
