"""WaveNet on spoken digits: bits a sample beside a linear predictor and a histogram, and digits one can listen to.

    python -m experiments.wavenet spoken_digits.npz

Each model gives every sample of the test recordings (at most 5,120 of each, on 256 levels of a logarithmic scale) an
exact probability, told those before it; WaveNet is told the digit too. The file is made of the Free Spoken Digit
Dataset: 3,000 recordings of six speakers at 8 kHz, takes 0 to 4 of each the test.

Time: 6.5 minutes of processor time. Expected: WaveNet below the linear predictor, which hears loudness and the last two
thousandths of a second. Obtained, bits a sample: histogram 7.855 +- 0.011, linear predictor 6.109 +- 0.028, WaveNet
5.888 +- 0.030. What it draws has the colour of speech and no words: that takes longer than six minutes.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class WavenetOptions:
    """Bits a sample of WaveNet on recordings, beside the simplest models, and sounds that it draws."""

    sounds: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = "spoken_digits.npz"
    """An .npz of int16 samples (or their bytes low and high), lengths, digits and test, at 8 kHz."""
    longest: int = 5120  # Samples of a recording that are scored.
    window: int = 1280  # Samples in an example of training.
    features: int = 32  # Of WaveNet's rows.
    layers: int = 9  # The outputs see 2^layers samples.
    hidden: int = 64  # Units before the outputs.
    components: int = 5  # Logistics in the mixture of each sample.
    epochs: int = 2  # Passes over the training windows.
    batch_size: int = 16  # Windows in a step.
    lr: float = 4e-3  # Learning rate, falling to 0 as a cosine.
    seconds: float = 0.6  # Of each sound that is drawn.
    seed: Index = 0  # Of everything random.
    output: str = "runs/wavenet"  # Folder of the sounds, their picture and results.json.


def main(options: WavenetOptions) -> int:
    """Prints the table, writes the sounds and their picture."""
    from pathlib import Path

    import numpy as np

    from experiments.lectures import sounds
    from jaxvae.checks import finite_number
    from jaxvae.files import make_folder

    finite_number("lr", options.lr, above=True)
    finite_number("seconds", options.seconds, above=True)
    train, test = sounds.load(options.sounds, options.longest)
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    params = trained(train, classes, options)
    table(train, test, scored(params, test, classes, options), options)
    drawn = [sounds.sample_of(levels) for levels in draws(params, classes, options)]
    folder = make_folder(Path(options.output))
    for label, sound in enumerate(drawn):
        sounds.write_wave(folder / f"drawn_{label}.wav", sound)
    firsts = [int(np.argmax(test.labels == label)) for label in range(3)]
    heard = [sounds.sample_of(test.levels[row, : test.lengths[row]]) for row in firsts]
    picture(folder / "sounds.png", heard, drawn)
    print(f"{classes} sounds (drawn_0.wav ...) and their picture in {folder}")
    return 0


def density(length: int, classes: int, options: WavenetOptions) -> Any:
    """p(sound of this length given its class) and its model; the parameters of one length serve every other."""
    from jaxvae.models.densities import autoregressive, density_model
    from jaxvae.models.observations.discrete import logistic_mixture
    from jaxvae.networks.causal import wavenet

    observation = logistic_mixture(options.components)
    sizes = {"features": options.features, "layers": options.layers, "hidden": options.hidden}
    p = autoregressive(wavenet((length,), observation.channels, **sizes), observation)
    return density_model(p, observation, event_shape=(length,), context=classes)


def trained(train: Any, classes: int, options: WavenetOptions) -> Any:
    """The parameters after all passes over the training windows."""
    import numpy as np

    import jaxvae
    from jaxvae.training import learning_rate_schedule, make_optimizer

    parts = [
        (levels[start : start + options.window], label)
        for levels, length, label in zip(*train, strict=True)
        for start in range(0, length - options.window + 1, options.window)
    ]
    if len(parts) < options.batch_size:
        raise ValueError(
            f"window is {options.window}, of which the training recordings hold {len(parts)}, expected at least the "
            f"batch_size of {options.batch_size}. Set a smaller --window."
        )
    windows, labels = (np.array(array) for array in zip(*parts, strict=True))
    model = density(options.window, classes, options)
    steps = options.epochs * (len(windows) // options.batch_size)
    found = jaxvae.fit(
        model,
        windows.astype(np.float32),
        labels=labels.astype(np.int32),
        optimizer=make_optimizer("adam", learning_rate_schedule("cosine", options.lr, steps, steps // 20), clip=1.0),
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
    )
    return found.params


def scored(params: Any, test: Any, classes: int, options: WavenetOptions) -> Any:
    """-log p [N, T] of each test level, told all before it and the class."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxvae.models.observations.discrete import logistic_mixture
    from jaxvae.networks.causal import wavenet

    observation = logistic_mixture(options.components)
    sizes = {"features": options.features, "layers": options.layers, "hidden": options.hidden}
    network = wavenet((options.longest,), observation.channels, **sizes)

    @jax.jit
    def each(levels: Any, label: Any) -> Any:
        u = 2.0 * observation.to_unit(levels) - 1.0
        outputs = network.apply(params["autoregressive"], u, jax.nn.one_hot(label, classes))
        return -jax.vmap(lambda x, output: observation.log_prob(params, x[None], output))(levels, outputs)

    pairs = zip(test.levels, test.labels, strict=True)
    rows = [np.asarray(each(jnp.float32(levels), label)) for levels, label in pairs]
    return np.stack(rows).astype(np.float64)


def table(train: Any, test: Any, by_network: Any, options: WavenetOptions) -> None:
    """Prints bits a sample of every model, the error that of means of recordings."""
    import numpy as np

    from experiments.lectures import sounds
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import Estimate

    own = test.own()
    nats = {
        ("histogram of levels", "0"): sounds.histogram(train, test),
        ("linear predictor", "16"): sounds.linear_predictor(train, test),
        ("WaveNet, told the digit", f"{2**options.layers}"): by_network,
    }
    rows = []
    for (name, told), losses in nats.items():
        total, sizes = (losses * own).sum(1), own.sum(1)
        mean = total.sum() / sizes.sum()
        error = float(np.std(total - mean * sizes, ddof=1) / np.sqrt(len(sizes)) / sizes.mean())  # of a ratio
        count, log_2 = int(sizes.sum()), np.log(2)
        rows.append((name, told, Estimate(mean / log_2, error / log_2, count), Estimate(mean, error, count)))
    title = f"{options.sounds}: {own.sum():,} samples of {len(own)} test recordings, 256 levels"
    print_table(title, ("model", "sees", "bits", "-log p, nats"), rows, "of a sample, exact")


def draws(params: Any, classes: int, options: WavenetOptions) -> Any:
    """Levels [classes, T]: one sound of each class."""
    import jax
    import numpy as np

    from experiments.lectures.sounds import RATE
    from jaxvae.evaluation.latents import draw

    model = density(max(1, round(options.seconds * RATE)), classes, options)
    keys = jax.random.split(jax.random.key(options.seed), classes)
    return [np.asarray(draw(model, params, key, 1, context=k))[0] for k, key in enumerate(keys)]


def picture(path: Any, heard: Any, drawn: Any) -> None:
    """Three recordings and the first drawn sounds: pressure above, spectrogram below."""
    import numpy as np

    from experiments.lectures.sounds import RATE
    from jaxvae.evaluation.plots import figures

    named = {"recorded": heard, "drawn": drawn[:3]}
    columns = [(f"{name}: {k}", s) for name, sounds in named.items() for k, s in enumerate(sounds)]
    figure, empty = figures.new_axes(width=12.0, height=4.5)
    empty.remove()
    axes = figure.subplots(2, len(columns), height_ratios=(1, 2))
    for (name, s), (above, below) in zip(columns, axes.T, strict=True):
        seconds = np.arange(len(s)) / RATE
        above.plot(seconds, s, linewidth=0.4)
        above.set(title=name, ylim=(-1, 1), xlim=(0, seconds[-1]), xticks=[], yticks=[])
        size = min(128, len(s) // 2)
        below.specgram(s + 1e-5, NFFT=size, Fs=RATE, noverlap=size * 3 // 4, vmin=-120, vmax=-30, cmap="magma")
        below.set(xlabel="seconds", yticks=[])
    axes[1, 0].set(ylabel="0 to 4 kHz")
    figures.save(figure, path)


if __name__ == "__main__":
    launch(main, parser(WavenetOptions))
