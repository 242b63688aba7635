"""A flow as a model of data: a simple density pushed through a bijection, of vectors and of pictures."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.flows.records import Bijection, check_bijection
from jaxvae.models.densities.density import density_model
from jaxvae.models.events import as_event_shape
from jaxvae.models.priors.flow import transformed
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Model, Observation, Params

Array = jax.Array


def flow_model(
    bijection: Bijection,
    base: Conditional | None = None,
    observation: Observation | None = None,
    *,
    event_shape: Any,
    context: Any = None,
    data: Array | np.ndarray | None = None,
    name: str = "flow",
) -> Model:
    """The exact density of an example x = f(u) of D numbers: log p(x) = log p_base(f^-1(x)) + log |det df^-1/dx|.

    Training asks for the inverse, a draw for forward: `masked_autoregressive` layers learn fast and draw slowly,
    couplings do both at one speed. Pixels come dequantised (`dequantize`), and end in `from_logits`, so that nats are
    those of the pixels; `dequantized` makes a bound on log P of the levels of such a density.

    Args:
        bijection: f from vectors u [D] to events, such as `chain(real_nvp(64, ConditionerMLP), unflatten((8, 8, 1)))`.
        base: a `Conditional` over [D], by default `standard_normal(D)`.
        observation: which x there are and how they become pictures, nothing else; by default any finite floats.
        event_shape: of one example.
        context: as `density_model` takes it; base and bijection are given it.
        data: examples [N, *event_shape] that parameters may start from, as `affine` and `actnorm` do; a few hundred.
            None: they start as the bijection made them.
        name: of the bijection's parameters in the dict.

    Returns:
        A `Model` whose evidence is "exact".

    Raises:
        ValueError, TypeError: for what is no `Bijection`, and as `transformed` and `density_model`.

    Source: Dinh, Krueger and Bengio, 2014, arXiv 1410.8516; Papamakarios et al., 2021, arXiv 1912.02762.

    Example:
        >>> from jaxvae.flows.elementary import affine
        >>> model = flow_model(affine(2), event_shape=(2,), data=jnp.array([[0.0, 5.0], [4.0, 7.0]]))
        >>> params = model.init(jax.random.key(0), jnp.zeros(2))
        >>> params["flow"]["shift"].tolist(), jnp.exp(params["flow"]["log_scale"]).tolist()
        ([2.0, 6.0], [2.0, 1.0])
    """
    check_bijection(bijection)
    event_shape = as_event_shape(event_shape)
    size = math.prod(event_shape)
    p = transformed(standard_normal(size) if base is None else base, bijection, size, name=name)
    start = bijection.start

    def started(key: Key, told: Any) -> Params:
        params = p.init(key, told)
        if start is None or data is None:
            return params
        contexts = None if told is None else jnp.broadcast_to(told, (len(data), *jnp.shape(told)))
        return params | {name: start(params[name], jnp.asarray(data), contexts)}

    return density_model(p._replace(init=started), observation, event_shape=event_shape, context=context)
