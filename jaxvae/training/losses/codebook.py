"""Training a codebook: its loss, its restarts and its moving averages, with no state but the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae.checks import finite_number
from jaxvae.models.records import Key, Model, Params, as_model, check_batch
from jaxvae.randomness import with_keys
from jaxvae.traced import surely
from jaxvae.training.engine.streams import RESTART
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.whole_batch import gathered, shared_key

Array = jax.Array

BURST = 100.0  # a restarted code counts one encoding this many times the average usage


def vq_loss(model: Model, *, restart_below: float = 0.01) -> Loss:
    """Minus the bound log p(x | z) - P log K plus the VQ penalties, averaged over the batch, for `vq_vae`.

    A code whose usage is below `restart_below` times the average is dead. It is given a random encoding of the batch as
    though that had been nearest, often enough (100 times the average usage) to move there in one step of
    `vq_optimizer`; as usage starts at 0, the first step sets the whole codebook to encodings. These terms have value 0
    and a gradient.

    Args:
        model: from `vq_vae`.
        restart_below: fraction of the average usage P / K; 0 restarts nothing.

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics). Metrics in nats as those of `bound_loss`,
        and: dead_codes [], how many are below the threshold before the step; code_usage [K], this batch's mean count of
        each code for an example, whose mean over an epoch `fit` keeps: `perplexity(history[-1]["code_usage"])`.

    Source: restarts: Dhariwal et al., 2020, arXiv 2005.00341, section 3.1; loss: van den Oord et al., 2017,
        arXiv 1711.00937.

    Example:
        >>> from jaxvae.models.vq import vq_vae
        >>> from jaxvae.networks.deterministic import MLPDeterministicEncoder
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> networks = MLPDeterministicEncoder(2, ()), MLPDecoder((4, 1), hidden=())
        >>> model = vq_vae(*networks, event_shape=(4, 1), code_shape=(2,), codes=8)
        >>> params, x = model.init(jax.random.key(0), jnp.ones((4, 1))), jnp.ones((3, 4, 1))
        >>> value, metrics = vq_loss(model)(params, jax.random.split(jax.random.key(1), 3), x, jnp.int32(0))
        >>> float(metrics["code_usage"].sum()), float(metrics["dead_codes"])
        (1.0, 8.0)
    """
    as_model("model", model)
    finite_number("restart_below", restart_below, high=1.0)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        check_batch(model, batch)
        terms = jax.vmap(lambda key, x: model.terms(with_keys(params, key), key, x))(keys, batch)
        vectors, usage = params["codebook"]["vectors"], params["codebook"]["usage"]
        positions = terms.z.indices[0].size
        average = positions / usage.size
        dead = usage < restart_below * average
        encodings = gathered(jax.lax.stop_gradient(terms.z.encoding)).reshape(-1, vectors.shape[-1])
        chosen = jax.random.randint(shared_key(keys, RESTART), usage.shape, 0, len(encodings))
        target = encodings[chosen]
        burst = jnp.where(dead, BURST * average, 0.0)
        restarts = (burst * ((vectors - target) ** 2).sum(-1)).sum() - (burst * usage).sum()
        restarts -= jax.lax.stop_gradient(restarts)

        log_likelihood, penalty, kl = terms.log_likelihood.mean(), terms.penalty.mean(), terms.kl.mean(0)
        value = kl.sum() - log_likelihood + penalty + restarts
        return value, {
            "loss": value,
            "elbo": log_likelihood - kl.sum(),
            "log_likelihood": log_likelihood,
            "kl": kl.sum(),
            "kl_per_latent": kl,
            "penalty": penalty,
            "dead_codes": dead.sum().astype(value.dtype),
            "code_usage": jnp.zeros_like(usage).at[terms.z.indices.ravel()].add(1.0) / len(batch),
        }

    return loss


def vq_optimizer(
    optimizer: optax.GradientTransformation, *, codebook: str = "moving_average", decay: float = 0.99
) -> optax.GradientTransformation:
    """`optimizer` for the networks of a `vq_vae`, moving averages for its codebook.

    Args:
        optimizer: of everything but the codebook.
        codebook: "moving_average", or "gradient" to train its vectors by `optimizer` too (usage stays an average).
        decay: of the averages, in [0, 1).

    Raises:
        ValueError: for a decay outside [0, 1), or an unknown codebook.

    Source: van den Oord et al., 2017, arXiv 1711.00937, appendix A.1; Razavi et al., 2019, arXiv 1906.00446.

    Example:
        >>> params = {"encoder": {}, "codebook": {"vectors": jnp.ones((4, 2)), "usage": jnp.zeros(4)}}
        >>> state = vq_optimizer(optax.adam(1e-3)).init(params)
    """
    if codebook not in ("moving_average", "gradient"):
        raise ValueError(f"codebook is {codebook!r}, expected 'moving_average' or 'gradient'.")
    averages = moving_averages(decay)
    if codebook == "gradient":
        averages = optax.sgd(1.0 - decay)
    others = "networks" if codebook == "gradient" else "codebook"

    def labels(params: Params) -> Any:
        if "codebook" not in params:
            raise ValueError(f"the parameters are {sorted(params)}, expected a 'codebook'. Build the model by vq_vae.")
        named: dict[str, Any] = dict.fromkeys(params, "networks")
        named["codebook"] = {"vectors": others, "usage": "codebook"}
        return named

    return optax.partition({"networks": optimizer, "codebook": averages}, labels)


def moving_averages(decay: float = 0.99) -> optax.GradientTransformation:
    r"""The moving averages of a codebook, from the gradients that `vq_vae` leaves; stateless.

    N <- decay N + (1 - decay) n and m <- decay m + (1 - decay) s, e = m / N, for the count n and the sum s of the
    encodings of each code, both per example. With the gradients 2 (n e - s) of the vectors and N - n of the usage this
    is e <- e - (1 - decay) (n e - s) / N, so that m need not be kept. A code that was never used stays where it is and
    nothing is divided by 0. Many programs add 1e-5 to N (Laplace smoothing) against that; here nothing is added.

    This is descent on 1/2 sum_k mean_{i in k} |stop(z_i) - e_k|^2 with step 1 - decay only while n = N: in general the
    step of a code is (1 - decay) n / N, larger where the batch holds more of it than usual.

    Raises:
        ValueError: for a decay outside [0, 1).

    Source: van den Oord et al., 2017, arXiv 1711.00937, appendix A.1.

    Example:
        >>> params = {"vectors": jnp.ones((1, 2)), "usage": jnp.ones(1)}
        >>> gradient = {"vectors": jnp.full((1, 2), 2.0), "usage": jnp.zeros(1)}  # one encoding, at 0
        >>> updates, _ = moving_averages(0.9).update(gradient, (), params)
        >>> [round(x, 6) for x in optax.apply_updates(params, updates)["vectors"][0].tolist()]
        [0.9, 0.9]
    """
    finite_number("decay", decay, high=1.0)
    if surely(decay == 1.0):
        raise ValueError("decay is 1, expected a number below 1, such as 0.99. At 1 the codebook would never move.")
    rate = 1.0 - decay

    def usage_update(gradient: Array) -> Array:
        return -rate * gradient

    def vectors_update(vectors: Array, usage: Array, gradient: Array) -> Array:
        total = (usage + usage_update(gradient))[:, None]
        used = total > 0
        return jnp.where(used, -0.5 * rate * vectors / jnp.where(used, total, 1.0), 0.0)

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, optax.EmptyState]:
        if params is None:
            raise ValueError("params is None, expected the parameters: the averages are kept in them.")
        gradient, now = updates.get("codebook", updates), params.get("codebook", params)
        moved = {
            "vectors": vectors_update(gradient["vectors"], now["usage"], gradient["usage"]),
            "usage": usage_update(gradient["usage"]),
        }
        return ({**updates, "codebook": moved} if "codebook" in updates else moved), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
