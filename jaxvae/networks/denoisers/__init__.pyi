from .mlp import MLPDenoiser as MLPDenoiser
from .told import noise_features as noise_features
from .unet import UNet as UNet
