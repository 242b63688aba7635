"""One file for each contender: `make(images, model, batch)` returns a function that trains one epoch.

All of them train the same VAE on the same grey images with Adam 1e-3, and return the mean loss of the epoch in nats per
example (Bernoulli cross-entropy summed over the pixels plus the KL divergence). Weights are drawn from
N(0, 1 / fan in), truncated where that is the library's way, and biases are 0, since initialisers move the first
epochs by several nats.

    mlp     784 - 400 - 20 - 400 - 784
    conv    3x3 convolutions with stride 2 to 32 and 64 channels, dense 256, latent 20, and back
"""
