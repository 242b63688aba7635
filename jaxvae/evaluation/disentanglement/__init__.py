"""How well the latents of a code match the factors that made the data: eight scores, on arrays.

Codes are [N, Z], for a VAE the posterior means; factors are [N, F], such as `Dataset.factors`, sampled independently of
one another: a full grid, or a random part of one. Every score is 1 for one latent a factor and 0 where nothing is told,
except where its docstring says otherwise. Codes that are a rotation of the factors tell all, and score low on purpose.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
