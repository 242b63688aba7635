"""pythae: its VAE and its BaseTrainer, an epoch at a time, without evaluation set, checkpoints or best-model copies."""

import logging
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor

from experiments.benchmarks.contenders.torch_networks import DEVICE, LATENT, Networks, networks


class Encoder(BaseEncoder):
    """The trunk and its two heads, as pythae wants them."""

    def __init__(self, nets: Networks):
        BaseEncoder.__init__(self)
        self.trunk, self.mean, self.log_var = nets.trunk, nets.mean, nets.log_var

    def forward(self, x: Tensor) -> ModelOutput:
        features = self.trunk(x)
        return ModelOutput(embedding=self.mean(features), log_covariance=self.log_var(features))


class Decoder(BaseDecoder):
    """Probabilities, since pythae's cross-entropy takes those."""

    def __init__(self, nets: Networks):
        BaseDecoder.__init__(self)
        self.decoder = nets.decoder

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.decoder(z)))


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1]."""
    torch.set_num_threads(2)
    logging.getLogger("pythae").setLevel(logging.ERROR)
    nets = networks(model)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    data = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous()
    trainer = BaseTrainer(
        VAE(config, Encoder(nets), Decoder(nets)),
        BaseDataset(data, torch.zeros(len(data))),
        training_config=BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=batch,
            learning_rate=1e-3,
            no_cuda=DEVICE.type == "cpu",
        ),
    )
    trainer.prepare_training()
    count = 0

    def epoch() -> float:
        nonlocal count
        count += 1
        return float(trainer.train_step(count))

    return epoch
