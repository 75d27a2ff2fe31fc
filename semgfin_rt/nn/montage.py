"""Signals derived from the channels, and the turn of an electrode ring around the limb.

The derivations are those of the field: every channel as it is; the difference of neighbours in the
ring (a double-differential recording); a channel against the average of all (common average
reference). Through them features of single signals tell how neighbouring channels go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semgfin_rt.contracts import FloatArray
from semgfin_rt.model_contract import Derivation, ModelContract


@dataclass(frozen=True)
class Alignment:
    """How a person wears a ring, against the people of the first training.

    Attributes
    ----------
    rotation : int
    mirrored : bool
        See `ModelContract`.
    """

    rotation: int = 0
    mirrored: bool = False


@dataclass(frozen=True)
class Montage:
    """The derived signals of some channels.

    Parameters
    ----------
    n_channels : int
    derivations : tuple of {"channel", "difference", "average"}
    ring : tuple of int
        Indices of the channels of the ring, in order; empty for none.
    """

    n_channels: int
    derivations: tuple[Derivation, ...] = ("channel",)
    ring: tuple[int, ...] = ()

    @classmethod
    def of(cls, contract: ModelContract) -> Montage:
        """Montage of a checkpoint."""
        return cls(len(contract.channels), contract.network.derivations, contract.ring)

    @property
    def n_signals(self) -> int:
        """How many signals there are; the first `n_channels` of them are the channels."""
        return len(self.matrix)

    @property
    def matrix(self) -> FloatArray:
        """The derivations as (n_signals, n_channels): ``derived = matrix @ channels``."""
        unit = np.eye(self.n_channels, dtype=np.float32)
        ring = list(self.ring)
        rows = {
            "channel": unit,
            "difference": unit[ring] - unit[ring[1:] + ring[:1]],
            "average": unit - np.float32(1 / self.n_channels),
        }
        return np.concatenate([rows[name] for name in self.derivations])

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """Every way to wear the ring, as it is first."""
        turns = range(max(1, len(self.ring)))
        sides = (False, True) if self.ring else (False,)
        return tuple(Alignment(turn, side) for side in sides for turn in turns)

    def order(self, alignment: Alignment) -> npt.NDArray[np.int64]:
        """Which signal stands where the others have signal k, (n_signals,).

        The sign of a difference is left as it is: features of amplitude and frequency do not see
        it.
        """
        at = self._channel_at(alignment)
        ring = list(self.ring)
        pair = {frozenset(p): k for k, p in enumerate(zip(ring, ring[1:] + ring[:1], strict=True))}
        wanted = zip(at[ring], at[ring[1:] + ring[:1]], strict=True)
        blocks = {
            "channel": at,
            "difference": np.array([pair[frozenset(map(int, p))] for p in wanted], dtype=np.int64),
            "average": at,
        }
        sizes = {"channel": len(at), "difference": len(ring), "average": len(at)}
        starts = np.cumsum([0, *(sizes[name] for name in self.derivations)])
        return np.concatenate(
            [blocks[name] + start for name, start in zip(self.derivations, starts, strict=False)]
        )

    def _channel_at(self, alignment: Alignment) -> npt.NDArray[np.int64]:
        """Which channel stands where the others have channel k; off the ring, k itself."""
        at = np.arange(self.n_channels)
        ring = np.array(self.ring, dtype=np.int64)
        worn = ring[::-1] if alignment.mirrored else ring
        at[ring] = np.roll(worn, alignment.rotation)
        return at
