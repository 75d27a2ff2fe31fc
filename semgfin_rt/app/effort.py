"""When the muscles worked in a trial, by the energy of the filtered signal.

The energy of a block of 10 ms, in dB, scatters about its level by much the same amount at rest and
in a movement, in every channel: so a level in dB is a mean, and a change of level is found by least
squares, which is the generalised likelihood ratio for normal noise. DB2's refined labels rest on
the same idea (Kuzborskij, Gijsberts, Caputo: "On the challenge of classifying 52 hand movements
from surface electromyography", EMBC 2012); ours has one onset and one offset for each prompt.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semgfin_rt.app.prompts import Slot
from semgfin_rt.contracts import FloatArray

BLOCK_S = 0.01
LEAST_RISE_DB = 6.0
"""Energy of a movement over rest, in its strongest channel: twice the amplitude. Of 480 movements
of six people (3DC) 3 have less, and half have 20 dB or more; between 98 pairs of stretches of rest
the figure reaches 4.2 dB."""
FLAT_S = 0.1
"""A channel that keeps one value so long is not connected, or its amplifier is at its rail."""
_LEAST_ENERGY = 1e-30  # of a silent block: -300 dB instead of minus infinity

Levels = npt.NDArray[np.float64]


def energy_db(samples: FloatArray, rate: float) -> Levels:
    """Energy of every block of 10 ms of the band-passed signal, (n_blocks, n_channels), in dB."""
    from semgfin_rt.dsp.filters import CausalFilter, design_filter  # loads scipy.signal

    n = block_samples(rate)
    filtered = CausalFilter(design_filter(rate))(samples)
    blocks = filtered[: len(filtered) // n * n].reshape(-1, n, samples.shape[1])
    energy = np.square(blocks, dtype=np.float64).mean(axis=1)
    return np.asarray(10 * np.log10(energy + _LEAST_ENERGY))


def block_samples(rate: float) -> int:
    """Return the samples of a block."""
    return max(1, round(BLOCK_S * rate))


def problem(samples: FloatArray, slot: Slot, rate: float) -> str:
    """Say what is wrong with a trial; an empty text if nothing is.

    Parameters
    ----------
    samples : (n_samples, n_channels) float32
        Of the whole slot; NaN where a sample is lost.
    slot : Slot
    rate : float
        In Hz.
    """
    damaged = len(samples) - int(np.isfinite(samples).all(axis=1).sum())
    if damaged:
        return f"{damaged} samples were lost or not finite"
    if len(flat := np.flatnonzero(_is_flat(samples, rate))):
        return f"channel {flat[0] + 1} was flat for {1000 * FLAT_S:g} ms or more"
    rise = rise_db(samples, slot, rate)
    if rise < LEAST_RISE_DB:
        return (
            f"the signal rose by {rise:.1f} dB over rest, and a movement raises it by "
            f"{LEAST_RISE_DB:g} or more"
        )
    return ""


def rise_db(samples: FloatArray, slot: Slot, rate: float) -> float:
    """Energy of the movement over that of the rest before it, in the strongest channel.

    Medians over blocks; the first quarter of the prompt, in which people react, is left out.
    """
    level, n = energy_db(samples, rate), block_samples(rate)
    on, off = (slot.on - slot.first) // n, (slot.off - slot.first) // n
    moving = np.median(level[on + (off - on) // 4 : off], axis=0)
    return float((moving - np.median(level[:on], axis=0)).max())


def refined(samples: FloatArray, slot: Slot, rate: float) -> tuple[int, int]:
    """Find onset and offset of the movement: samples [onset, offset) of the slot.

    Of all pairs with the onset in the first half of the prompt and the offset after it, the one
    that explains the levels best by two means of every channel, one inside and one outside.

    Parameters
    ----------
    samples : (n_samples, n_channels) float32
        Of the whole slot, finite.
    slot : Slot
    rate : float
        In Hz.
    """
    level, n = energy_db(samples, rate), block_samples(rate)
    on, off = (slot.on - slot.first) // n, (slot.off - slot.first) // n
    middle, count = (on + off) // 2, len(level)
    onsets, offsets = np.arange(on, middle), np.arange(middle, count + 1)
    inside = (offsets - onsets[:, None]).astype(np.float64)  # (n_onsets, n_offsets)
    outside = count - inside
    sums = np.concatenate([np.zeros((1, level.shape[1])), np.cumsum(level, axis=0)])
    explained = np.zeros_like(inside)
    for column in sums.T:
        within = column[offsets] - column[onsets][:, None]
        apart = within / inside - (column[-1] - within) / outside
        explained += apart**2
    explained *= inside * outside / count
    best = np.unravel_index(explained.argmax(), explained.shape)
    return int(onsets[best[0]]) * n, int(offsets[best[1]]) * n


def _is_flat(samples: FloatArray, rate: float) -> npt.NDArray[np.bool_]:
    """Whether each channel keeps one value through a piece of `FLAT_S`."""
    n = max(2, round(FLAT_S * rate))
    pieces = samples[: len(samples) // n * n].reshape(-1, n, samples.shape[1])
    return np.asarray((np.ptp(pieces, axis=1) == 0).any(axis=0))
