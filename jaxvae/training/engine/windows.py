"""Means of the training metrics over fixed windows of steps, which do not depend on how the run was cut into calls."""

from collections.abc import Iterator
from typing import Any

import numpy as np


class Windows:
    """Collects per-step metrics and gives one mean for every `size` steps of an epoch and at its end.

    The open window is plain JSON (`pending`), kept in the checkpoint, so that a resumed run logs the same lines.
    """

    def __init__(self, steps_per_epoch: int, size: int, pending: dict[str, list[Any]] | None = None):
        self.steps_per_epoch = steps_per_epoch
        self.size = size
        self.pending: dict[str, list[Any]] = dict(pending or {})

    def add(self, last_step: int, metrics: dict[str, np.ndarray]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Takes the metrics [S, ...] of the steps up to `last_step`; yields (step, means) for each window that closes.

        Skipped steps count in `skipped` alone; their losses are not finite.
        """
        count = len(metrics["skipped"])
        for i, step in enumerate(range(last_step - count + 1, last_step + 1)):
            for name, value in metrics.items():
                # A skipped step is not finite, which JSON cannot hold; its place is kept, its numbers never used.
                kept = value[i] if name == "skipped" or not metrics["skipped"][i] else np.zeros_like(value[i])
                self.pending.setdefault(name, []).append(np.asarray(kept, np.float64).tolist())
            if step % self.steps_per_epoch % self.size == 0:
                yield step, self._close()

    def _close(self) -> dict[str, Any]:
        arrays = {name: np.asarray(values) for name, values in self.pending.items()}
        self.pending = {}
        good = arrays["skipped"] == 0
        means = {
            name: (values[good].mean(0).tolist() if good.any() else None)
            for name, values in arrays.items()
            if name != "skipped"
        }
        return {**means, "skipped": int(arrays["skipped"].sum())}
