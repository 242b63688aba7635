"""PyTorch, the plain loop: data in memory, a shuffled index, one eager step after another."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from experiments.benchmarks.contenders.torch_networks import networks


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    torch.set_num_threads(2)
    trunk, mean_head, log_var_head, decoder = nets = networks(model)
    optimizer = torch.optim.Adam([p for network in nets for p in network.parameters()], lr=1e-3)
    data = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous()

    def epoch() -> float:
        total = torch.zeros(())
        for indices in torch.randperm(len(data)).split(batch):
            x = data[indices]
            features = trunk(x)
            mean, log_var = mean_head(features), log_var_head(features)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            cross_entropy = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
            kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
            loss = (cross_entropy + kl) / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / (len(data) // batch)

    return epoch
