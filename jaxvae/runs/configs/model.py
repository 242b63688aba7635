"""What a run trains: the kind of model, and what it is built from.

The comment after each field is its text in --help, which names the kinds that read it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.networks import NETWORKS, SIZES
from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.priors import PRIORS

Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "softplus", "gated"]
Prediction = Literal["v", "noise", "x0", "levels"]
NoiseSchedule = Literal["linear", "cosine", "learned"]
Scale = Literal["fixed", "learned", "per_channel", "per_pixel"]
Dequantization = Literal["uniform", "variational"]
Corruption = Literal["masking", "gaussian", "salt_and_pepper"]
Game = Literal["relativistic", "non_saturating", "minimax", "hinge", "least_squares", "wasserstein"]

if TYPE_CHECKING:
    Kind = str
    Network = str
    Size = str
    Likelihood = str
    Prior = str
    Posterior = str
else:  # the names in their tables, see choices/records.py
    Kind, Network, Likelihood = Literal[tuple(KINDS)], Literal[tuple(NETWORKS)], Literal[tuple(LIKELIHOODS)]
    Size = Literal[tuple(SIZES)]
    Prior, Posterior = Literal[tuple(PRIORS)], Literal[tuple(POSTERIORS)]


@dataclass(frozen=True)
class ModelConfig:
    """Encoder q(z | x), decoder and likelihood p(x | z), prior p(z)."""

    kind: Kind = "vae"  # What is trained; `experiments.train --help` says what each kind is.
    network: Network = "mlp"
    """Kind of encoder and decoder. Burgess, locatello: the four convolutions of those papers on disentanglement, for
    64 x 64 pixels."""
    hidden: tuple[int, ...] = (400,)  # MLP: units of the encoder's hidden layers; the decoder mirrors them.
    features: tuple[int, ...] = (32, 64)  # Conv, resnet, deep: channels; each layer halves the sides of the picture.
    blocks: int = 1  # Resnet, deep, progressive_gan: residual blocks at each resolution (deep: of the encoder).
    size: Size = "own"
    """Resnet: small, base and large choose features and blocks by the sides of the pictures, from 16, 32 or 64 channels
    and 1, 2 or 3 blocks; own: as they are given."""
    attention: bool = False  # Resnet: whether all pixels of the coarsest resolution see each other.
    dense: int = 256  # Conv, resnet: units between convolutions and latents; of what tells a U-Net the noise.
    activation: Activation = "relu"  # Non-linearity. Gated: MLP layers (A x + a) sigmoid(B x + b).
    dropout: float = 0.0
    """In training: the share of what hidden layers say that is dropped; conv and resnet: of their dense layers
    alone."""
    block_dropout: float = 0.0
    """Resnet: in training, the share of what the second convolution of each residual block reads that is dropped."""
    latent_dim: int = 20  # Number of latents. Deep: at each pixel of each group.
    likelihood: Likelihood = "bernoulli"  # p(x | z) of one pixel, or of one column.
    scale: Scale = "fixed"
    """Of normal and laplace: fixed, learned as one number, or as one for each colour (column), or decoded for each
    pixel. Of marginal_normal: fixed finds one for each example, per_channel one for each colour of each."""
    std: float = 0.1  # Fixed or initial standard deviation of normal (width of laplace), for x on [0, 1].
    components: int = 5  # Components of logistic_mixture and its coupled form.
    prior: Prior = "standard_normal"  # p(z): N(0, I), a Gaussian mixture, a VampPrior, or a flow.
    prior_components: int = 500  # Components of mixture, pseudo-inputs of vamp.
    posterior: Posterior = "diagonal"  # q(z | x): Gaussian with that covariance, or a diagonal one through a flow.
    rank: int = 4  # Rank of the low_rank posterior.
    flows: int = 4  # Layers of a flow, in the prior, the posterior or as the model. Glow: steps at each scale.
    flow_hidden: tuple[int, ...] = (100,)
    """Units of the hidden layers of a flow's networks. Maf, spline_flow: with fewer than an example has numbers, each
    number is not told the few just before it; MNIST wants 784 or more, digits 64."""
    dequantization: Dequantization = "uniform"
    """Maf, spline_flow, attention_flow, glow, of levels: the noise between two levels, uniform or learned for each
    picture."""
    scales: int = 2  # Glow: how often the sides of the picture are halved.
    first_latents: int = 100  # Hierarchical, ladder: latents of the layer next to x; latent_dim is that of the top.
    upper_hidden: tuple[int, ...] = (100, 100)  # Hierarchical, ladder: hidden layers between the two layers of latents.
    groups: tuple[int, ...] = (2, 2)  # Deep: groups of latents at each resolution, the finest first.
    factors: tuple[int, ...] = (2, 2)  # Deep: of its sides, from the picture on: 4 7 makes 28 pixels 7 and then 1.
    categories: int = 8  # Categorical: classes of each of the latent_dim latents.
    temperature: float = 1.0  # Categorical: of the relaxed draw whose gradient is taken.
    codes: int = 64  # Vq: vectors in the codebook.
    code_size: int = 4  # Vq: numbers in each of the latent_dim vectors that are a code.
    labelled: float = 0.1  # Semi_supervised: the share of the training labels that it is told.
    corruption: Corruption = "masking"  # Denoising: what is done to the input.
    noise: float = 0.25  # Denoising: the share of pixels that are spoilt, or the standard deviation of gaussian.
    critic_hidden: tuple[int, ...] | None = None
    """Factor, adversarial, vae_gan, gan, class_gan: of the critic (mlp). None: the usual, which config.json then says:
    1024 of vae_gan, whose features stand in for pixels, 128 of the others."""
    critic_rate: float = 0.3  # The same: learning rate of the critic, as a multiple of optim.lr.
    pixel_features: int = 16  # Pixel_cnn: channels of each stack. Wavenet: of its rows. Glow: of its networks.
    pixel_layers: int = 5
    """Pixel_cnn: layers of each stack; each sees a row and a column further. Wavenet: layers, each of which sees twice
    as far as the last. Transformer: layers."""
    width: int = 64  # Transformer: numbers in the row of each element.
    heads: int = 4  # Transformer: heads of attention, of which width is a multiple.
    patch: int = 1  # Flow of Transformers: side of the squares of pixels that are moved at once; of tables, columns.
    prediction: Prediction = "v"
    """Diffusion: what the network predicts of noisy data. levels: the chances of each level by the rest of the picture,
    best where pixels have few levels; v, noise, x0: numbers."""
    noise_schedule: NoiseSchedule = "linear"  # Diffusion: how log noise over signal rises.
    noise_start: float = -13.3  # Diffusion: where it starts; -13.3 is for 256 levels, fewer may start later.
    noise_stop: float = 5.0  # Diffusion: where it ends; 5 costs 0.0033 nats for each number of x, 8 a twentieth.
    time_steps: int | None = None  # Diffusion: of the bound; None is continuous time.
    draw_steps: int = 100  # Diffusion: of a draw.
    game: Game = "relativistic"  # Gan, class_gan, progressive_gan: what the critic minimises, and what the generator.
    critic_steps: int = 1  # The same: steps of the critic for each of the generator.
    grow_steps: int = 1000
    """Progressive_gan: steps in which a resolution is trained alone, and then in which the next, twice as fine, fades
    in. features has a number for each resolution, which with the last is there after 2 grow_steps for each before."""
    weight: float | None = None
    """Of what the kind adds to its loss, in nats: commitment (vq), L1 norm (sparse), squared Jacobian (contractive),
    half squared norm of the code (rae), MMD (wasserstein), classification (semi_supervised), total correlation
    (factor), the critic's opinion (adversarial), its features in the decoder's loss (vae_gan), its slope (gan,
    class_gan, progressive_gan).
    None: the usual one, which config.json then says; of a slope 0.1, of residual players 1, of wasserstein 10."""
    decoder_penalty: Literal["l2", "gradient"] = "l2"  # Rae: squared weights of the decoder, or half its Jacobian's.
    decoder_weight: float = 1e-3  # Rae: of that penalty.
    output_bias: Literal["zero", "data_mean"] = "zero"  # Where the decoder's last bias starts (bernoulli, normal).
