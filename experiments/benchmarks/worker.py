"""One contender in a process of its own: trains an epoch for each line on standard input, and answers in JSON."""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable

TORCH_PRECISIONS = {"bfloat16": "medium", "tensorfloat32": "high", "float32": "highest"}


def main() -> None:
    """python -m experiments.benchmarks.worker <contender>[@precision] <images.npy> <model> <batch> <processors or 0>"""
    name, path, model, batch, processors = sys.argv[1:]
    if int(processors) and hasattr(os, "sched_setaffinity"):  # as many for all, whatever each library would choose
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(processors)])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the answers
    import numpy as np

    images = np.load(path)
    name, _, precision = name.partition("@")
    epoch = importlib.import_module(f"experiments.benchmarks.contenders.{name}").make(images, model, int(batch))
    epoch = told(epoch, precision)
    print(json.dumps({"ready": True, "examples": len(images)}), file=answers)
    for _ in sys.stdin:
        start = time.perf_counter()
        loss = epoch()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "examples": len(images), "loss": loss}), file=answers)


def told(epoch: Callable[[], float], precision: str) -> Callable[[], float]:
    """The same epoch with the factors of its products rounded to a precision; an empty one leaves it as it is."""
    if precision and "torch" in sys.modules:
        sys.modules["torch"].set_float32_matmul_precision(TORCH_PRECISIONS[precision])
    elif precision:
        from jaxvae.networks.precision import at_precision

        return at_precision(epoch, precision)
    return epoch


if __name__ == "__main__":
    main()
