"""Which classes draws have, as a table and for JSON, as a classifier reads them, and whether those that were asked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxvae.evaluation.samples.features import Features


def print_classes(
    rows: Mapping[str, Any], features: "Features", names: Sequence[str] = (), asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A line for each class, a column for each set of samples; returns the numbers, {} for features without classes.

    Args:
        rows: images [N, H, W, C] on [0, 1], by what they are.
        features: with probabilities p(y | x), see `classifier_features`.
        names: of the classes, by default their numbers.
        asked: of the sets that a model drew for a class, the labels [N] it was told.
    """
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.probes.probes import accuracy
    from jaxvae.evaluation.samples.variety import class_shares

    if features.probabilities is None:
        return {}
    read = {label: features.probabilities(images) for label, images in rows.items()}
    found = {label: class_shares(probabilities) for label, probabilities in read.items()}
    right = {label: accuracy(read[label].argmax(1), told) for label, told in (asked or {}).items()}
    first = next(iter(found.values()))
    known = [names[at] if at < len(names) else str(at) for at in range(len(first.shares))]
    lines: list[list[Any]] = [
        [name, *(one.shares[at].percent() for one in found.values())] for at, name in enumerate(known)
    ]
    lines.append([f"classes of {100 * first.least:g} % or more", *(one.present for one in found.values())])
    if right:
        lines.append(["read as asked", *(right[label].percent() if label in right else "" for label in found)])
    counts = ", ".join(f"{label} {len(probabilities)}" for label, probabilities in read.items())
    said = "".join(f"\n{label}: {one.in_words(known)}" for label, one in found.items())
    title = f"Classes, % of the samples, as they are read by: {features.name} ({features.note})"
    print_table(title, ("class", *found), lines, f"{counts}; \N{PLUS-MINUS SIGN} is one standard error{said}")
    return {
        label: {
            "shares": {name: list(share) for name, share in zip(known, one.shares, strict=True)},
            "present": one.present,
            "least": one.least,
            "read_as_asked": list(right[label]) if label in right else None,
        }
        for label, one in found.items()
    }
