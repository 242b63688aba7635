"""Numbers that cannot be printed without their setting: what was measured, on which data, with how many samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxvae.evaluation.results import Row, Table, note, shown
from jaxvae.evaluation.statistics import Estimate


class Setting(NamedTuple):
    """Under which circumstances a model was measured.

    Attributes:
        data: which examples, as "mnist/test".
        examples: how many of them were used, picked by a fixed permutation; of: how many there are.
        protocol: how x came from the raw data, in words.
        seed: of the draw of x and of all samples.
        sha256: of the whole draw of x.
        samples: posterior samples for each example, or chains and temperatures, in words.
        evidence: what the number says of log p(x): "exact", "bound" or "importance bound"; "" where it is about
            something else.
        precision: of the networks' products, in words where it is not JAX's own; `evaluate` fills it in.
    """

    data: str
    examples: int
    of: int
    protocol: str
    seed: int
    sha256: str
    samples: str = ""
    precision: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        count = f"a fixed random {self.examples} of {self.of}" if self.examples < self.of else f"all {self.of}"
        words = [f"{self.data}, {count} examples", self.protocol, self.evidence, self.samples, self.precision]
        return ", ".join(word for word in [*words, f"seed {self.seed}", f"sha256 {self.sha256[:12]}"] if word)


class SampleSetting(NamedTuple):
    """Under which circumstances samples were compared with data.

    Attributes:
        features: the name of the feature net, and its held-out accuracy where it is a classifier.
        generated: what was judged, as "prior samples of runs/a"; samples: how many.
        reference: against what, as "digits/test"; references: how many.
        seed: of the samples.
    """

    features: str
    generated: str
    samples: int
    reference: str
    references: int
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.samples} {self.generated} against {self.references} of {self.reference}, features {self.features}, "
            f"seed {self.seed}"
        )


class Measured(NamedTuple):
    """A number with its standard error, its unit and its setting; printed, it says all of them.

    Attributes:
        name: such as "-ELBO" or "Frechet distance".
        estimate: as it is reported elsewhere, bias and all.
        unit: "nats", "bits", "of 8"; "" where there is none.
        setting: what was measured, a `Setting` or a `SampleSetting`.
        better: "lower", "higher", "near 1", or "" where neither is.
        bias: an estimate of the part of the number that more samples would take away, with an error of its own, so that
            it may be larger than the number; 0 where there is none to speak of.

    Example:
        >>> setting = Setting("mnist/test", 100, 100, "threshold", 0, "c0ffee", "K = 50", evidence="bound")
        >>> print(Measured("-ELBO", Estimate(97.314, 0.23, 100), "nats", setting))
        -ELBO 97.31 ± 0.23 nats (mnist/test, all 100 examples, threshold, bound, K = 50, seed 0, sha256 c0ffee)
    """

    name: str
    estimate: Estimate
    unit: str
    setting: Any
    better: str = ""
    bias: float = 0.0

    def __str__(self) -> str:
        bias = f"estimated bias {self.bias_text}" if self.bias else ""
        words = " ".join(word for word in (self.name, self.number, self.unit) if word)
        said = f"{', '.join(word for word in (words, bias) if word)} ({self.setting})"
        return f"{said}; {self.remark}" if self.remark else said

    def __repr__(self) -> str:
        return str(self)

    @property
    def number(self) -> str:
        """Mean and standard error, for a table that states the setting once."""
        return self.estimate.text()

    def as_row(self) -> Row:
        """The same for results.json."""
        setting = self.setting._asdict() | ({"bias": self.bias} if self.bias else {})
        evidence, error = setting.pop("evidence", ""), self.estimate.standard_error
        return Row(self.name, self.estimate.mean, error if error >= 0 else None, self.unit, evidence, setting)

    @property
    def remark(self) -> str:
        """What a distance means that seems to contradict itself, "" where none does."""
        if not isinstance(self.setting, SampleSetting):
            return ""
        if self.bias and self.bias >= self.estimate.mean:
            return "the estimated bias is no smaller than the number: too few samples to tell the distance from 0"
        if self.estimate.mean < 0:
            return "an estimate without bias is negative as often as not where the distance is 0"
        return ""

    @property
    def bias_text(self) -> str:
        """The bias, to the digits of the number."""
        return self.estimate._replace(mean=self.bias).text().split()[0]


def print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], caption: str | None = None) -> None:
    """Prints a table: the first column on the left, numbers on the right; columns without an entry are left out.

    What it prints goes into the results of a command too, see `collected`: with all its digits where a
    cell is an `Estimate`, its `text`, a `Measured` or a number.

    Example:
        >>> rows = [("heads", "0.5", ""), ("tails", "0.5", "")]
        >>> print_table("two coins", ("side", "share", "note"), rows)  # doctest: +NORMALIZE_WHITESPACE
        two coins
        ┏━━━━━━━┳━━━━━━━┓
        ┃ side  ┃ share ┃
        ┡━━━━━━━╇━━━━━━━┩
        │ heads │   0.5 │
        │ tails │   0.5 │
        └───────┴───────┘
    """
    from rich.console import Console
    from rich.table import Table as Frame

    table = Table(title, names, rows, caption)
    note(table)
    kept = table.kept()
    padding, width = (1, 118) if len(kept) < 12 else (0, 132)
    frame = Frame(padding=(0, padding))
    for column in kept:
        frame.add_column(names[column], justify="right" if column else "left", no_wrap=not column)
    for row in rows:
        frame.add_row(*(shown(row[column]) for column in kept))
    console = Console(width=width)
    for part, style in ((title, "italic"), (frame, None), (caption, "dim italic")):
        if part:
            console.print(part, style=style, markup=False, highlight=False)
