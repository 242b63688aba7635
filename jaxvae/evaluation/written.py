"""Words for a table that still have the number they were made of: all its digits, its error and its unit."""

from collections.abc import Mapping
from typing import Any


class Written(str):
    """A number in words; what `results.json` says of it is not what is printed.

    Attributes:
        value, standard_error: all the digits; no error where there is none.
        unit: "nats", "%"; "" leaves it to the name of the column.
        evidence: what it says of log p(x), "exact" or such; None leaves it to the name.
        setting: what else belongs to it, as the ends of an interval.
    """

    value: float
    standard_error: float | None
    unit: str
    evidence: str | None
    setting: Mapping[str, Any]


def written(
    text: str,
    value: float,
    error: float | None = None,
    *,
    unit: str = "",
    evidence: str | None = None,
    **setting: Any,
) -> Written:
    """A number in words of one's own.

    Example:
        >>> cell = written("0.913 (0.90 to 0.92)", 0.91275, low=0.9012, high=0.9204)
        >>> str(cell), cell.value, cell.setting["low"]
        ('0.913 (0.90 to 0.92)', 0.91275, 0.9012)
    """
    found = Written(text)
    found.value, found.standard_error = float(value), None if error is None else float(error)
    found.unit, found.evidence, found.setting = unit, evidence, setting
    return found


def number(value: float, form: str = ".2f", unit: str = "", *, evidence: str | None = None) -> Written:
    """A number printed in a form, as `format` takes it.

    Example:
        >>> cell = number(1234.567, ",.0f", "nats")
        >>> str(cell), cell.value, cell.unit
        ('1,235', 1234.567, 'nats')
    """
    return written(format(float(value), form), value, unit=unit, evidence=evidence)
