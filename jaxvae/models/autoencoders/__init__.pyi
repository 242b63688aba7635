from .denoising import denoising_autoencoder as denoising_autoencoder
from .denoising import gaussian_noise as gaussian_noise
from .denoising import masking as masking
from .denoising import salt_and_pepper as salt_and_pepper
from .deterministic import autoencoder as autoencoder
from .regularized import contractive_autoencoder as contractive_autoencoder
from .regularized import regularized_autoencoder as regularized_autoencoder
from .regularized import sparse_autoencoder as sparse_autoencoder
