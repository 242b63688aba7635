"""A language model, character by character: n-grams beside a GRU and a causal Transformer, in nats a character.

    python -m experiments.language tiny_shakespeare.txt

The last tenth of the text is the test. The networks are scored in windows that overlap by half, each character by the
second half of a window, so that it is told at least half a window; an n-gram is told n - 1 characters.

Time: 8 minutes of processor time. Expected: more context costs fewer nats. Obtained on Tiny Shakespeare (1,115,394
characters, of A. Karpathy's char-rnn): the 5-gram 1.669 +- 0.014 nats a character, after four passes the GRU 1.701 +-
0.007 and the Transformer 1.801 +- 0.008: counting is hard to beat in a few minutes.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class LanguageOptions:
    """Nats a character of n-grams, of a GRU and of a causal Transformer on a text, and what they write."""

    text: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = "tiny_shakespeare.txt"
    """A file of text in UTF-8, of at most 256 different characters."""
    orders: tuple[int, ...] = (1, 2, 3, 4, 5)  # Of the n-grams.
    window: int = 96  # Characters in an example of a network, an even number.
    recurrent: int = 192  # Numbers in the state of the GRU.
    width: int = 96  # Of the Transformer's rows.
    layers: int = 3  # How many.
    heads: int = 4  # Of attention.
    epochs: int = 4  # Passes over the training text.
    batch_size: int = 64  # Windows in a step.
    lr: float = 3e-3  # Learning rate, falling to 0 as a cosine.
    letters: int = 300  # Of the samples.
    seed: Index = 0  # Of everything random.
    output: str | None = None  # Folder for results.json and the samples; by default nothing is written.


def main(options: LanguageOptions) -> int:
    """Prints the table and samples."""
    tabulated(options)
    return 0


def tabulated(options: LanguageOptions) -> list[tuple[Any, ...]]:
    """The rows of the table that is printed: model, what it is told, nats, bits and perplexity of a character."""
    from pathlib import Path

    import jax
    import numpy as np

    from experiments.lectures import ngrams
    from jaxvae.checks import finite_number
    from jaxvae.evaluation.latents import draw
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import Estimate
    from jaxvae.files import make_folder, read_bytes, write_text
    from jaxvae.models.observations.discrete import categorical
    from jaxvae.networks.causal import causal_transformer, gated_recurrent

    finite_number("lr", options.lr, above=True)
    if options.window % 2:
        raise ValueError(f"window is {options.window}, expected an even number: half of it is told, half is scored.")
    text = read_bytes(options.text).decode("utf-8")
    letters, tokens = in_numbers(text, options.text, max(8000, 20 * options.window))
    train, test = np.split(tokens, [len(tokens) * 9 // 10])
    symbols, rows = len(letters), list[tuple[Any, ...]]()

    def row(name: str, told: str, losses: Any) -> None:
        # Characters of one passage depend on each other: the error is that of means over stretches of 200.
        means = losses[: len(losses) // 200 * 200].reshape(-1, 200).mean(1)
        value = Estimate(float(losses.mean()), float(means.std(ddof=1) / np.sqrt(len(means))), len(losses))
        bits = Estimate(value.mean / np.log(2), value.standard_error / np.log(2), len(losses))
        rows.append((name, told, value, bits, float(np.exp(value.mean))))

    counted: Any = None
    half = options.window // 2
    for order in options.orders:
        counted = ngrams.count(train, order, symbols)
        row(f"{order}-gram, Witten-Bell", f"{order - 1}", ngrams.nats(counted, test)[half:])

    observation, shape = categorical(symbols), (options.window,)
    sizes: dict[str, Any] = {
        "width": options.width,
        "layers": options.layers,
        "heads": options.heads,
        "levels": symbols,
    }
    networks = {
        "GRU": gated_recurrent(shape, symbols, width=options.recurrent, levels=symbols),
        "causal Transformer": causal_transformer(shape, symbols, **sizes),
    }
    samples = {f"{options.orders[-1]}-gram": ngrams.draw(counted, options.letters, options.seed)}
    for name, network in networks.items():
        model, params = trained(network, observation, train, options)
        row(name, f"{half} to {options.window - 1}", scored(network, observation, params, test))
        samples[name] = np.asarray(draw(model, params, jax.random.key(options.seed), 3)).ravel()
    title = f"{options.text}: {len(test):,} characters of {len(tokens):,} held out, {symbols} different ones"
    print_table(title, ("model", "told", "-log p, nats", "bits", "perplexity"), rows, "of a character, exact")
    for name, sample in samples.items():
        written = "".join(letters[int(token)] for token in sample[: options.letters])
        print(f"\n{name} writes:\n{written}")
        if options.output is not None:
            folder = make_folder(Path(options.output))
            write_text(folder / f"{name.replace(' ', '_')}.txt", written)
    return rows


def trained(network: Any, observation: Any, tokens: Any, options: LanguageOptions) -> tuple[Any, Any]:
    """The model of a network and its parameters, after all passes over the windows of a text."""
    import numpy as np

    import jaxvae
    from jaxvae.models.densities import autoregressive, density_model
    from jaxvae.training import learning_rate_schedule, make_optimizer

    model = density_model(autoregressive(network, observation), observation, event_shape=network.event_shape)
    count = len(tokens) // options.window
    windows = tokens[: count * options.window].reshape(count, options.window).astype(np.float32)
    steps = options.epochs * (count // options.batch_size)
    rate = learning_rate_schedule("cosine", options.lr, steps, steps // 20)
    sizes: dict[str, Any] = {"epochs": options.epochs, "batch_size": options.batch_size, "seed": options.seed}
    found = jaxvae.fit(model, windows, optimizer=make_optimizer("adamw", rate, clip=1.0), **sizes)
    return model, found.params


def in_numbers(text: str, name: str, least: int) -> tuple[list[str], Any]:
    """The letters of a text in their order, and the text as their numbers, uint8 [N]."""
    import numpy as np

    letters = sorted(set(text))
    if len(text) < least or len(letters) > 256:
        raise ValueError(
            f"{name} has {len(text):,} characters, {len(letters)} different ones, expected at least {least:,} and at "
            f"most 256 different ones."
        )
    number = {letter: index for index, letter in enumerate(letters)}
    return letters, np.array([number[letter] for letter in text], np.uint8)


def scored(network: Any, observation: Any, params: Any, tokens: Any) -> Any:
    """-log p of each character from the half-th on, each told at least half a window before it."""
    import jax
    import numpy as np

    half = network.event_shape[0] // 2
    count = len(tokens) // half - 1
    windows = np.stack([tokens[i * half : (i + 2) * half] for i in range(count)]).astype(np.float32)

    @jax.jit
    def second_half(windows: Any) -> Any:
        def one(window: Any) -> Any:
            outputs = network.apply(params["autoregressive"], 2.0 * observation.to_unit(window) - 1.0)
            each = jax.vmap(lambda x, output: observation.log_prob(params, x[None], output))(window, outputs)
            return -each[half:]

        return jax.vmap(one)(windows)

    parts = [second_half(windows[i : i + 64]) for i in range(0, count, 64)]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)


if __name__ == "__main__":
    launch(main, parser(LanguageOptions))
