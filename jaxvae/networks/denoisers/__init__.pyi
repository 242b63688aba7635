from .mlp import MLPDenoiser as MLPDenoiser
from .noise_features import noise_features as noise_features
from .unet import UNet as UNet
