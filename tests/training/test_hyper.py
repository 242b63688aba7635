"""One program for all values of the numbers that a search varies: what is compiled, and that the values are right."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import SHAPE, Encoder, Linear, binarize, grey, images, same_bits, small_vae

import jaxvae
from jaxvae.models.observations.continuous import normal
from jaxvae.models.variational import vae
from jaxvae.training.engine.hyper import as_hyper
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import compiled_init, init_state
from jaxvae.training.engine.sweep import member, train_sweep

pytestmark = pytest.mark.quick_compile

COMPILED = []


@pytest.fixture(scope="module", autouse=True)
def _listen():
    """Writes down every program that XLA is asked for, or the cache on disk in its place."""
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: COMPILED.append(event) if event.endswith("backend_compile_duration") else None
    )


def close(a, b, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=atol), a, b)


def fit(model, loss, optimizer, **options):
    options = {"epochs": 2, "batch_size": 10, "progress": False, "protocol": "grey", **options}
    return jaxvae.fit(model, images(30), loss=loss, optimizer=optimizer, **options).params


def test_a_second_fit_with_other_numbers_compiles_nothing():
    model = small_vae()

    def loss(hyper):
        return jaxvae.bound_loss(model, beta=hyper["beta"])

    def optimizer(hyper):
        return jaxvae.make_optimizer("adamw", hyper["rate"], weight_decay=hyper["decay"], clip=hyper["clip"])

    grid = [
        {"beta": 1.0, "rate": 1e-2, "decay": 0.0, "clip": 1.0},
        {"beta": 4.0, "rate": 2e-2, "decay": 0.3, "clip": 0.1},
        {"beta": 0, "rate": np.float32(1e-3), "decay": 0.1, "clip": 9},  # of any kind of number
    ]
    found = [fit(model, loss, optimizer, hyper=grid[0])]
    before = len(COMPILED)
    assert before > 0
    found += [fit(model, loss, optimizer, hyper=point) for point in grid[1:]]
    assert len(COMPILED) == before
    assert not same_bits(found[0], found[1])
    alone = fit(model, loss(grid[1]), optimizer(grid[1]))
    assert len(COMPILED) > before  # what the count is there to see
    close(found[1], alone)


@pytest.mark.slow
def test_a_number_of_the_model_itself_may_vary():
    def model(std):
        return vae(Encoder(), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=3, observation=normal(std=std))

    def loss(hyper):
        return jaxvae.bound_loss(model(hyper["std"]))

    first = model(0.1)
    fit(first, loss, None, hyper={"std": 0.1})
    before = len(COMPILED)
    found = fit(first, loss, None, hyper={"std": 0.7})
    assert len(COMPILED) == before
    close(found, fit(model(0.7), None, None))


@pytest.mark.slow
def test_a_grid_search_over_tables_compiles_once():
    from jaxvae.sklearn import VAE

    rows = np.random.default_rng(0).normal(size=(40, 3))
    options = {"hidden": (4,), "epochs": 2, "random_state": 0}
    first = VAE(**options).fit(rows)
    before = len(COMPILED)
    other = VAE(beta=4.0, learning_rate=1e-2, **options).fit(rows)
    assert len(COMPILED) == before
    assert not same_bits(first.params_, other.params_)


@pytest.mark.rows(slow=["mesh", "jit"])
@pytest.mark.parametrize("mode", ["jit", "pmap", "mesh"])
def test_every_mode_takes_the_numbers(mode):
    model, optimizer = small_vae(), lambda hyper: optax.sgd(hyper["rate"])
    numbers = {"beta": 3.0, "rate": 0.02}
    sizes = {"batch_size": 10, "steps_per_call": 5, "mode": mode}

    def of(hyper):
        return jaxvae.bound_loss(model, beta=hyper["beta"])

    searched = compile_steps(of, optimizer, binarize, hyper=True, **sizes)
    fixed = compile_steps(of(numbers), optimizer(numbers), binarize, **sizes)
    state = init_state(model, optimizer(numbers), jax.random.key(0), jnp.zeros(SHAPE))
    (*_, a), (*_, b) = train(searched, state, images(50), 7, hyper=numbers), train(fixed, state, images(50), 7)
    close(jax.device_get(a.state.params), jax.device_get(b.state.params))


def test_the_state_is_the_one_of_the_constant_numbers():
    model = small_vae()
    searched = compiled_init(model, lambda hyper: jaxvae.make_optimizer("adam", hyper["rate"], clip=hyper["rate"]))
    fixed = compiled_init(model, jaxvae.make_optimizer("adam", 0.1, clip=0.1))
    key, example = jax.random.key(0), np.zeros(SHAPE, np.float32)
    a, b = searched(key, example, {"rate": 0.1}), fixed(key, example)
    assert same_bits(a, b)


@pytest.mark.slow
def test_a_sweep_varies_several_numbers_and_the_optimizers_too():
    model = small_vae()

    def optimizer(hyper):
        return jaxvae.make_optimizer("adam", hyper["rate"])

    def loss(hyper):
        return jaxvae.bound_loss(model, beta=hyper["beta"])

    params = train_sweep(
        model, loss, optimizer, images(30), hyper={"beta": (1.0, 4.0), "rate": (1e-2, 3e-3)}, seeds=2, epochs=2,
        batch_size=10, protocol="grey",
    )  # fmt: skip
    point = {"beta": 4.0, "rate": 3e-3}
    close(member(params, 1, 1), fit(model, loss(point), optimizer(point), seed=1), atol=1e-5)


def test_a_step_that_is_not_finite_is_named_with_its_numbers():
    model = small_vae()

    def loss(hyper):
        return jaxvae.bound_loss(model, beta=hyper["beta"] / jnp.zeros(()))

    with pytest.raises(FloatingPointError, match="first bad leaf is the loss"):
        fit(model, loss, None, hyper={"beta": 1.0}, epochs=20)


MODEL = small_vae()
BAD = {
    "nobody reads": (lambda: fit(MODEL, None, optax.sgd(0.1), hyper={"beta": 1.0}), ValueError, "neither loss nor"),
    "a built loss": (
        lambda: fit(MODEL, jaxvae.bound_loss(MODEL), None, hyper={"beta": 1.0}), TypeError, "loss = lambda hyper",
    ),
    "no number": (lambda: as_hyper({"beta": "2"}), TypeError, r"hyper\['beta'\] is '2'"),
    "not finite": (lambda: as_hyper({"beta": np.nan}), ValueError, r"hyper\['beta'\] is nan"),
    "empty": (lambda: as_hyper({}), TypeError, "hyper is {}"),
    "no dict": (lambda: as_hyper(2.0), TypeError, "hyper is 2.0"),
    "lengths": (
        lambda: train_sweep(
            MODEL, lambda hyper: None, optax.sgd(0.1), images(20), hyper={"a": (1.0,), "b": (1.0, 2.0)}, seeds=1,
            epochs=1, batch_size=10, protocol="grey",
        ),
        ValueError,
        "as many of each",
    ),
    "steps for none": (
        lambda: next(
            train(
                compile_steps(jaxvae.bound_loss(MODEL), optax.sgd(0.1), grey, batch_size=10, steps_per_call=1),
                init_state(MODEL, optax.sgd(0.1), jax.random.key(0), jnp.zeros(SHAPE)),
                images(20),
                1,
                hyper={"beta": 1.0},
            )
        ),
        ValueError,
        "Give both, or neither",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impossible_numbers_are_refused(name):
    call, error, words = BAD[name]
    with pytest.raises(error, match=words):
        call()
