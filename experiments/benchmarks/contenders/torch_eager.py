"""PyTorch, the plain loop: data in the device's memory, a shuffled index, one eager step after another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.contenders.torch_networks import DEVICE, networks


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    return training(images, model, batch, lambda loss: loss)


def training(images: np.ndarray, model: str, batch: int, prepare: Callable[[Any], Any], **adam: Any) -> Any:
    """The epoch of `make`, with `prepare` applied to the loss of a batch and options for Adam."""
    torch.set_num_threads(2)
    trunk, mean_head, log_var_head, decoder = nets = networks(model)
    optimizer = torch.optim.Adam([p for network in nets for p in network.parameters()], lr=1e-3, **adam)
    data = torch.from_numpy(images).to(DEVICE).permute(0, 3, 1, 2).float().div(255).contiguous()

    def loss_of(x: Tensor) -> Tensor:
        features = trunk(x)
        mean, log_var = mean_head(features), log_var_head(features)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        cross_entropy = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        return (cross_entropy + kl) / len(x)

    prepared = prepare(loss_of)

    def epoch() -> float:
        total = torch.zeros((), device=DEVICE)
        for indices in torch.randperm(len(data), device=DEVICE).split(batch):
            loss = prepared(data[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / (len(data) // batch)

    return epoch
