"""What the light of a channel says."""

from __future__ import annotations

import numpy as np
import pytest
from signals import CHANNELS, tiny_contract

from semgfin_rt.app.lights import Light, lights
from semgfin_rt.dsp.quality import Quality

CONTRACT = tiny_contract()
GOOD = {
    "rms": (1.234e-5, 2e-5, 3e-4),
    "flat_ms": (0, 0, 0),
    "clipped": (0, 0, 0),
    "not_finite": (0, 0, 0),
    "mains_share": (0.1, 0.1, 0.1),
    "mains_hz": (50, 50, 60),
    "drift": (0.5, -0.5, np.nan),
    "level": (0.5, -0.5, 0.0),
}


def quality(gap=False, **changes):
    integers = ("clipped", "not_finite")
    return Quality(
        **{
            name: np.array(values, np.int64 if name in integers else np.float32)
            for name, values in (GOOD | changes).items()
        },
        gap=gap,
    )


def middle(**changes):
    """Light of the second channel; the others stay good."""
    first, light, last = lights(quality(**changes), CONTRACT)
    assert (first.level, last.level) == ("good", "good")
    return light


def test_good_channels_tell_their_level():
    assert lights(quality(), CONTRACT) == (
        Light("left", "good", "left: 12.3 µV RMS"),
        Light("right", "good", "right: 20 µV RMS"),
        Light("top", "good", "top: 300 µV RMS"),
    )
    counts = CONTRACT.model_copy(update={"unit": "count"})
    assert lights(quality(rms=(1, 140.4, 3)), counts)[1].text == "right: 140 counts RMS"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flat_ms": (0, 120, 0)}, "flat for 120 ms"),
        ({"flat_ms": (0, 12_340, 0)}, "flat for 12.3 s"),
        ({"clipped": (0, 1, 0)}, "1 sample at the end of the range or beyond"),
        ({"not_finite": (0, 5, 0)}, "5 samples not a number or infinite"),
        ({"mains_share": (0, 0.98, 0)}, "50 Hz is 98 % of the power"),
        ({"drift": (0, 3.8, 0), "level": (0, 4, 0)}, "45 times as strong as in training"),
        ({"drift": (0, -6, 0), "level": (0, -6, 0)}, "403 times weaker than in training"),
        ({"flat_ms": (0, 120, 0), "clipped": (0, 7, 0)}, "7 samples at the end of the range"),
    ],
)
def test_a_bad_channel_says_why(changes, words):
    light = middle(**changes)
    assert (light.channel, light.level) == (CHANNELS[1], "bad")
    assert light.text.startswith(f"right: {words}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mains_share": (0, 0.8, 0), "mains_hz": (50, 60, 50)}, "60 Hz is 80 % of the power"),
        ({"drift": (0, 2.5, 0)}, "12 times as strong as in training"),
        ({"drift": (0, -4.5, 0), "level": (0, -4.5, 0)}, "90 times weaker than in training"),
        ({"drift": (0, 3.8, 0), "level": (0, 0.1, 0)}, "45 times as strong as in training"),
    ],
)
def test_an_odd_channel_says_why(changes, words):
    light = middle(**changes)
    assert (light.level, light.text) == ("warn", f"right: {words}")


def test_a_loss_shows_on_all_channels():
    found = lights(quality(gap=True, clipped=(0, 3, 0)), CONTRACT)
    assert [light.level for light in found] == ["warn", "bad", "warn"]
    assert found[0].text == "left: 12.3 µV RMS, right after a loss"
    assert found[1].text == "right: 3 samples at the end of the range or beyond"
