"""Evaluation is shared by all devices of a process, and its numbers are those of one."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import images, small_vae

from jaxvae.evaluation.annealing.annealed import annealed_bounds
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.bounds.rates import rate_distortion
from jaxvae.evaluation.latents.codes import encode
from jaxvae.evaluation.latents.generation import prior_samples
from jaxvae.evaluation.probes.groups import class_probabilities
from jaxvae.evaluation.samples.classifiers import classifier_features, classifier_of
from jaxvae.evaluation.samples.frechet import frechet_distance
from jaxvae.models.players.critic import with_critic
from jaxvae.networks.deterministic import MLPClassifier, MLPDeterministicEncoder

pytestmark = pytest.mark.quick_compile

ROOT, COUNT, KEY = Path(__file__).parents[2], 21, jax.random.key(5)  # a number that no number of devices divides


def on_one_device(params):
    """As training leaves them: committed to a device, which no program of several may then take them from."""
    return jax.device_put(params, jax.devices()[0])


def sample_score():
    network, x = MLPDeterministicEncoder(4, ()), np.float32(images(COUNT) / 255)
    params = {"network": jax.jit(network.init)(KEY, x[0]), "weights": jnp.ones((4, 3)), "bias": jnp.zeros(3)}
    classifier = classifier_of(network, on_one_device(params), x, np.arange(COUNT) % 3)
    features = classifier_features(classifier, "own").vectors
    return frechet_distance(features(images(COUNT)), features(images(COUNT, seed=1)))


def numbers(every):
    """Of the bounds their numbers, or of every kind of evaluation."""
    model, x = small_vae(), np.float32(images(COUNT) > 100)
    params = on_one_device(jax.jit(model.init)(jax.random.key(0), x[0]))
    bounds = {"bounds": per_example(model, params, KEY, x, samples=(1, 20), chunk=5, batch_size=10)}
    if not every:
        return bounds
    told, classes = with_critic(small_vae(), MLPClassifier(2, (4,)), name="classifier"), MLPClassifier(2, (4,))
    point = rate_distortion(model, params, KEY, x, batch_size=10)
    return bounds | {
        "annealing": annealed_bounds(model, params, KEY, x, temperatures=5, chains=3, batch_size=6),
        "rates": [point.rate.mean, point.distortion.mean, point.information.mean],
        "codes": encode(model, params, x, batch_size=8),
        "draws": prior_samples(model, params, KEY, COUNT, batch_size=10),
        "classes": class_probabilities(told, classes, on_one_device(told.init(KEY, x[0])), x),
        "sample score": sample_score(),
    }


def main():
    """Prints the numbers on each number of devices, and over how many the results lay."""
    jax.config.update("jax_disable_most_optimizations", True)
    devices, get, found = jax.local_devices(), jax.device_get, {}
    for count in (1, 2, 4, 8):
        spread = set()

        def seen(tree, spread=spread):
            for leaf in jax.tree.leaves(tree):
                whole = isinstance(leaf, jax.Array) and leaf.sharding.is_fully_replicated
                spread.add(1 if whole else len({shard.index[0].start for shard in leaf.addressable_shards}))
            return get(tree)

        jax.local_devices, jax.device_get = (lambda count=count: devices[:count]), seen
        leaves = jax.tree_util.tree_leaves_with_path(numbers(count in (1, 8)))
        values = {jax.tree_util.keystr(path): np.asarray(leaf, np.float64).ravel().tolist() for path, leaf in leaves}
        found[count] = values, sorted(spread)
    print(json.dumps(found))


@pytest.mark.slow
def test_one_two_four_and_eight_devices_find_the_same_numbers():
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = found["1"][0]
    assert len(expected) > 12
    for count in ("2", "4", "8"):
        values, spread = found[count]
        assert spread == [int(count)]
        assert values.keys() == expected.keys() if count == "8" else len(values) >= 6
        for name, value in values.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-6, err_msg=f"{name}, {count} devices")


def test_each_device_is_given_its_share_of_a_batch_and_a_copy_of_the_parameters():
    seen, params = [], on_one_device({"w": jnp.arange(3.0)})

    def function(params, index, x):
        seen.append([leaf.sharding.shard_shape(leaf.shape) for leaf in (params["w"], index, x)])
        seen[-1].append(len(x.devices()))
        return jax.jit(lambda params, x: x @ params["w"])(params, x)

    x = np.arange(15.0, dtype=np.float32).reshape(5, 3)
    found = map_batches(functools.partial(function, params), x, batch_size=3)
    assert seen == [[(3,), (2,), (2, 3), 2]] * 2
    np.testing.assert_allclose(found, x @ np.arange(3.0))


def test_a_default_device_is_the_only_one():
    device = jax.devices()[1]
    with jax.default_device(device):
        found = []
        map_batches(lambda index, x: found.append(jnp.cos(x).devices()) or index, np.arange(3.0), batch_size=2)
    assert found == [{device}] * 2


if __name__ == "__main__":
    main()
