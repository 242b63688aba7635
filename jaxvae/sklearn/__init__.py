"""A variational autoencoder as a scikit-learn estimator; the only module that imports scikit-learn at its top."""

from jaxvae.sklearn.estimator import VAE as VAE

__all__ = ["VAE"]
