"""The recap of language: n-grams by hand and by sums, and the table of a small text."""

import numpy as np
import pytest

from experiments.lectures import language, ngrams

TEXT = "the cat sat on the mat and the rat ate the oat that the cat had. " * 200


def test_witten_bell_is_the_formula_by_hand():
    counts = ngrams.count(np.array([0, 1, 0, 1, 0, 2]), 2, 3)
    unigram = (np.array([3, 2, 1]) + 3 * np.full(3, 1 / 3)) / (6 + 3)
    np.testing.assert_allclose(ngrams.probabilities(counts, b""), unigram)
    after_zero = (np.array([0, 2, 1]) + 2 * unigram) / (3 + 2)
    np.testing.assert_allclose(ngrams.probabilities(counts, bytes([0])), after_zero)
    np.testing.assert_allclose(ngrams.probabilities(counts, bytes([2])), unigram)  # nothing ever followed it


@pytest.mark.parametrize("history", [b"", b"\x01", b"\x02\x01", b"\x05\x05\x05"])
def test_every_history_has_probabilities_that_sum_to_one_and_none_is_zero(history):
    p = ngrams.probabilities(ngrams.count(np.random.default_rng(0).integers(0, 6, 300), 4, 6), history)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (p > 0).all()


@pytest.mark.slow
def test_more_context_costs_fewer_nats_on_a_text_with_structure():
    letters, tokens = language.in_numbers(TEXT, "text", 100)
    train, test = np.split(tokens, [len(tokens) * 9 // 10])
    losses = [ngrams.nats(ngrams.count(train, order, len(letters)), test).mean() for order in (1, 2, 4)]
    assert losses[0] > losses[1] > losses[2]
    assert len(ngrams.draw(ngrams.count(train, 3, len(letters)), 50, seed=0)) == 50


@pytest.mark.full
def test_a_text_gives_a_row_for_every_model_and_samples_in_its_letters(tmp_path, capsys):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    sizes = {
        "window": 16,
        "width": 16,
        "recurrent": 24,
        "layers": 1,
        "heads": 2,
        "epochs": 5,
        "letters": 40,
        "orders": (1, 3),
    }
    options = language.LanguageOptions(str(tmp_path / "text.txt"), output=str(tmp_path / "out"), **sizes)
    found = {row[0]: row[2].mean for row in language.tabulated(options)}
    assert list(found) == ["1-gram, Witten-Bell", "3-gram, Witten-Bell", "GRU", "causal Transformer"]
    assert max(found["GRU"], found["causal Transformer"]) < found["1-gram, Witten-Bell"]
    for name in ("3-gram.txt", "GRU.txt", "causal_Transformer.txt"):
        assert set((tmp_path / "out" / name).read_text(encoding="utf-8")) <= set(TEXT)
    with pytest.raises(ValueError, match="window is 15, expected an even number"):
        language.tabulated(language.LanguageOptions(str(tmp_path / "text.txt"), window=15))
    with pytest.raises(ValueError, match="expected at least 40,000"):
        language.tabulated(language.LanguageOptions(str(tmp_path / "text.txt"), window=2000))
