"""The table of autoregressive networks on pictures, and its picture."""

import pytest

from experiments.lectures import pixel_cnn


@pytest.mark.slow
def test_a_network_is_trained_scored_and_drawn(tmp_path, monkeypatch):
    options = pixel_cnn.PixelCnnOptions(
        epochs=1, features=2, layers=1, hidden=16, count=2, output=str(tmp_path / "a.png"), progress=False
    )
    given, observation = pixel_cnn.pictures(options)
    four = pixel_cnn.networks((8, 8, 1), observation, options)
    assert list(four) == ["MADE", "masked", "residual", "gated"]
    assert given.test.protocol == "levels (17)"
    monkeypatch.setattr(pixel_cnn, "networks", lambda *args: {"MADE": four["MADE"]})
    pixel_cnn.main(options)
    assert (tmp_path / "a.png").stat().st_size > 5000
