"""PyTorch, the same loop with the loss compiled (on a GPU into CUDA graphs) and Adam in one kernel."""

from collections.abc import Callable

import numpy as np
import torch

from experiments.benchmarks.contenders.torch_eager import training
from experiments.benchmarks.contenders.torch_networks import DEVICE


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1], cut to whole batches."""
    mode = "reduce-overhead" if DEVICE.type == "cuda" else "default"
    return training(images, model, batch, lambda loss: torch.compile(loss, mode=mode, dynamic=False), fused=True)
