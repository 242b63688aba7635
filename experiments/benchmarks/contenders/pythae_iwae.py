"""pythae's IWAE with the same layers, in a plain loop over its own loss, which is faster than its trainer."""

import math
from collections.abc import Callable

import numpy as np
import torch
from pythae.models import IWAE, IWAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

LATENT, HIDDEN = 50, 200


class Encoder(BaseEncoder):
    """784 - 200 - 200 with tanh and two heads."""

    def __init__(self) -> None:
        BaseEncoder.__init__(self)
        self.trunk = nn.Sequential(
            nn.Flatten(), nn.Linear(784, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh()
        )
        self.mean, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        features = self.trunk(x)
        return ModelOutput(embedding=self.mean(features), log_covariance=self.log_var(features))


class Decoder(BaseDecoder):
    """Probabilities, since pythae's cross-entropy takes those."""

    def __init__(self) -> None:
        BaseDecoder.__init__(self)
        layers = (nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 784))
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1], model is the K of "iwae-K".

    The loss that pythae returns is the surrogate sum_k w_k log w_k without the constant of the Gaussian density, so
    that the bound itself is another number.
    """
    torch.set_num_threads(2)
    torch.manual_seed(0)
    samples = int(model.removeprefix("iwae-"))
    config = IWAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce", number_samples=samples)
    iwae = IWAE(config, Encoder(), Decoder())
    for layer in iwae.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(iwae.parameters(), lr=1e-3)
    data = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous()

    def epoch() -> float:
        total = torch.zeros(())
        for indices in torch.randperm(len(data)).split(batch):
            loss = iwae({"data": data[indices]}).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / (len(data) // batch)

    return epoch
