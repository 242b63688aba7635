"""`VAE`, a variational autoencoder of tables that scikit-learn's pipelines and searches take."""

import functools
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.latents.codes import encode
from jaxvae.evaluation.latents.decoding import decode
from jaxvae.evaluation.latents.generation import draw
from jaxvae.models.records import Model, check_batch
from jaxvae.runs.configs.names import unknown
from jaxvae.runs.fitting import run_epochs
from jaxvae.runs.tables.scaling import standardization, standardized
from jaxvae.sklearn import programs
from jaxvae.training.engine.state import TrainState


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A variational autoencoder of the rows of a table, as a scikit-learn transformer and density.

    p(x) = E_{z ~ N(0, I)} p(x | z), with fully connected networks for the encoder and the decoder, trained by Adam on
    E_q[log p(x | z)] - beta KL(q(z | x) || p(z)). Real-valued columns are standardised first, so that no unit rules
    the fit; scores are in nats of the columns as they came.

    Args:
        latent_dim: Z, the number of latents.
        hidden: widths of the encoder's layers; the decoder has them in reverse. () makes both linear: probabilistic
            PCA, trained by gradient.
        activation: of the hidden layers, such as "relu", "tanh" or "gelu".
        likelihood: "normal" or "laplace" with a learned width for real numbers, "bernoulli" for [0, 1], "poisson" or
            "negative_binomial" for counts.
        beta: weight of the KL.
        epochs: passes over the rows in `fit`.
        batch_size: rows per step, or all of them where there are fewer.
        learning_rate: of Adam.
        importance_samples: posterior samples K of each row in `score_samples` and `score`.
        random_state: an integer makes every number repeatable.
        verbose: shows a progress bar.

    Attributes:
        params_: the trained parameters, a tree of NumPy arrays.
        history_: one record an epoch, in nats per row of the standardised table: {"step", "epoch", "elbo", "kl", ...}.
        mean_, scale_: [D] of the standardised columns, those of the first `partial_fit`; 0 and 1 for other likelihoods.
        constant_: [D] which standardised columns never varied: samples and reconstructions have the constant there, and
            its scale is 1.

    Source: Kingma and Welling, 2013, arXiv 1312.6114; beta: Higgins et al., 2017; the score: Burda, Grosse and
        Salakhutdinov, 2016, arXiv 1509.00519.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.linear_model import LogisticRegression
        >>> x, y = load_iris(return_X_y=True)
        >>> pipeline = make_pipeline(VAE(2, epochs=50, random_state=0), LogisticRegression()).fit(x, y)
        >>> pipeline.score(x, y) > 0.7
        True
    """

    def __init__(
        self,
        latent_dim: int = 2,
        *,
        hidden: tuple[int, ...] = (64,),
        activation: str = "relu",
        likelihood: str = "normal",
        beta: float = 1.0,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        importance_samples: int = 50,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.activation = activation
        self.likelihood = likelihood
        self.beta = beta
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.importance_samples = importance_samples
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Trains from new weights for `epochs` passes over X [N, D]; y is not used.

        Raises:
            ValueError, TypeError: for an impossible parameter, or values that the likelihood cannot score.
        """
        return self._train(X, positive_integer("epochs", self.epochs), fresh=True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One pass over X [N, D] from where the last one ended; y is not used.

        The first call decides about the columns' means and scales.
        """
        return self._train(X, 1, fresh=not hasattr(self, "params_"))

    def _train(self, X: Any, epochs: int, *, fresh: bool) -> Self:
        X = validate_data(self, X, reset=fresh, dtype=[np.float64, np.float32], ensure_min_samples=2 if fresh else 1)
        architecture = self._architecture()
        finite_number("beta", self.beta)
        finite_number("learning_rate", self.learning_rate, above=True)
        positive_integer("importance_samples", self.importance_samples)
        if fresh:
            self._standardize(X)
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._passes = 0
        elif self.constant_.any():
            self.constant_ &= (self.mean_ == X).all(0)  # a column that begins to vary is constant no more
        rows = self._rows(X)
        check_batch(programs.build(architecture), rows, "X")
        batch_size = min(positive_integer("batch_size", self.batch_size), len(rows))
        numbers = {"beta": self.beta, "learning_rate": self.learning_rate}
        compiled = programs.compiled_steps(architecture, batch_size, min(len(rows) // batch_size, 2000))
        state = programs.initial_state(architecture)(jax.random.key(self._seed))
        if not fresh:
            state = self._resumed(state)
        state, history = run_epochs(compiled, state, rows, epochs, progress=bool(self.verbose), hyper=numbers)
        self.params_, self._optimizer = jax.device_get((state.params, jax.tree.leaves(state.opt_state)))
        self._passes += 1
        self.history_: list[dict[str, Any]] = history if fresh else [*self.history_, *history]
        return self

    def _resumed(self, state: TrainState) -> TrainState:
        """A state of the same shapes with what was learned; each pass draws an order and noise of its own."""
        opt_state = jax.tree.unflatten(jax.tree.structure(state.opt_state), self._optimizer)
        key = jax.random.fold_in(state.key, self._passes)
        return state._replace(params=self.params_, opt_state=opt_state, key=key)

    def _architecture(self) -> programs.Architecture:
        if self.likelihood not in programs.LIKELIHOODS:
            raise ValueError(unknown("likelihood", self.likelihood, programs.LIKELIHOODS))
        if not isinstance(self.hidden, tuple | list):
            raise TypeError(f"hidden is {self.hidden!r}, expected a tuple of positive integers such as (64,).")
        latent_dim = positive_integer("latent_dim", self.latent_dim)
        hidden = tuple(positive_integer("hidden", width) for width in self.hidden)
        return programs.Architecture(self.n_features_in_, latent_dim, hidden, self.activation, self.likelihood)

    def _standardize(self, X: np.ndarray) -> None:
        self.mean_, self.scale_, self.constant_ = np.zeros(X.shape[1]), np.ones(X.shape[1]), np.zeros(X.shape[1], bool)
        if self.likelihood in programs.STANDARDIZED:
            self.mean_, self.scale_, self.constant_ = standardization(X)

    def _rows(self, X: np.ndarray) -> np.ndarray:
        return standardized(X, self.mean_, self.scale_)

    def _in_units(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the model in the units of the table; a constant column is the constant."""
        return np.where(self.constant_, self.mean_, rows * self.scale_ + self.mean_)

    def _fitted(self, X: Any) -> tuple[Model, np.ndarray, np.ndarray]:
        """The model, X as it was validated, and its rows as the model sees them, filled up to a batch."""
        check_is_fitted(self, "params_")
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return programs.build(self._architecture()), X, programs.filled(self._rows(X))

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim

    def transform(self, X: Any) -> np.ndarray:
        """Posterior means E[z | x] of each row, [N, Z]."""
        model, X, rows = self._fitted(X)
        means = encode(model, self.params_, rows, batch_size=programs.BATCH).mean
        return np.asarray(means[: len(X)], X.dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """E[x | z] of each code z [N, Z], in the units of the table, [N, D].

        Raises:
            ValueError: for codes of another length.
        """
        check_is_fitted(self, "params_")
        Z = check_array(Z, dtype=[np.float64, np.float32])
        if Z.shape[1] != self.latent_dim:
            raise ValueError(f"Z has {Z.shape[1]} columns, expected {self.latent_dim}, one for each latent.")
        codes = programs.filled(Z.astype(np.float32))
        model = programs.build(self._architecture())
        rows = decode(model, self.params_, codes, batch_size=programs.BATCH)[: len(Z)]
        return self._in_units(rows).astype(Z.dtype)

    def reconstruct(self, X: Any) -> np.ndarray:
        """E[x | z] at the posterior mean of each row, [N, D]: `inverse_transform(transform(X))`."""
        return self.inverse_transform(self.transform(X))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """New rows [n_samples, D]: z from N(0, I), then x from p(x | z), in the units of the table."""
        check_is_fitted(self, "params_")
        count = positive_integer("n_samples", n_samples)
        key = jax.random.key(int(check_random_state(random_state).randint(2**31 - 1)))
        model = programs.build(self._architecture())
        rows = draw(model, self.params_, key, max(count, programs.BATCH), batch_size=programs.BATCH)
        return self._in_units(rows[:count])

    def score_samples(self, X: Any) -> np.ndarray:
        """A lower bound on log p(x) of each row in nats, [N]: the importance-weighted bound of `importance_samples`.

        log (1/K) sum_k p(x, z_k) / q(z_k | x), less the logarithms of the columns' scales. A row's noise is a function
        of its numbers, so that its score depends on no other row.
        """
        model, X, rows = self._fitted(X)
        check_batch(model, rows, "X")
        samples = positive_integer("importance_samples", self.importance_samples)
        bounds = functools.partial(programs.row_bounds, model, samples, self.params_, jax.random.key(self._seed))
        found = map_batches(bounds, rows, batch_size=programs.BATCH)[: len(X)]
        return found.astype(np.float64) - programs.log_volume(self.scale_)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, nats per row: higher is better, whatever beta trained the model."""
        return float(self.score_samples(X).mean())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
