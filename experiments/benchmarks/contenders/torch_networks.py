"""The two VAEs in PyTorch: an encoder's trunk with its two heads, and a decoder that emits logits; on a GPU if any."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

LATENT = 20
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Networks(NamedTuple):
    """The trunk maps x [B, 1, 28, 28] to features; mean and log_var are its heads; decoder maps z to logits."""

    trunk: nn.Module
    mean: nn.Module
    log_var: nn.Module
    decoder: nn.Module


def networks(model: str) -> Networks:
    """The networks of "mlp" or "conv", with weights from N(0, 1 / fan in) and biases 0."""
    torch.manual_seed(0)
    if model == "mlp":
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU())
        decoder = nn.Sequential(nn.Linear(LATENT, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28)))
        width = 400
    else:
        trunk = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 256),
            nn.ReLU(),
        )
        decoder = nn.Sequential(
            nn.Linear(LATENT, 256),
            nn.ReLU(),
            nn.Linear(256, 64 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1),
        )
        width = 256
    made = Networks(trunk, nn.Linear(width, LATENT), nn.Linear(width, LATENT), decoder)
    for network in made:
        network.apply(_initialise).to(DEVICE)
    return made


def _initialise(layer: nn.Module) -> None:
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    if isinstance(weight, Tensor) and isinstance(bias, Tensor):
        inputs = weight.shape[0] if isinstance(layer, nn.ConvTranspose2d) else weight.shape[1]
        nn.init.normal_(weight, std=1 / math.sqrt(inputs * math.prod(weight.shape[2:])))
        nn.init.zeros_(bias)
