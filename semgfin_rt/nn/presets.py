"""The presets: what a checkpoint of each is, unless options say otherwise.

The numbers of their training stand in `train.recipes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semgfin_rt.features import PAPER_FEATURES, RICH_FEATURES
from semgfin_rt.model_contract import Derivation, NetworkSpec, PresetName


@dataclass(frozen=True)
class Preset:
    """A kind of checkpoint.

    Attributes
    ----------
    features : tuple of str
        What the FIN imitates.
    classifier_features : tuple of str
        Those of them that the classifier reads.
    network : callable
        Topology, from the hop in samples, the number of features and `NetworkSpec.copies`.
    derivations : tuple of {"channel", "difference", "average"}
        Signals whose features are imitated, as far as the electrodes allow.
    band : (float, float) or None
        Edges in Hz of the band-pass.
    rest : bool
        Whether rest is a class.
    per_channel : bool
        Whether each channel has weights of its own, from joint training on.
    """

    features: tuple[str, ...]
    classifier_features: tuple[str, ...]
    network: Callable[[int, int, int], NetworkSpec]
    derivations: tuple[Derivation, ...]
    band: tuple[float, float] | None
    rest: bool
    per_channel: bool

    def derived(self, ring: tuple[int, ...]) -> tuple[Derivation, ...]:
        """Return the derivations that a ring of these channels allows: neighbours need three."""
        return tuple(d for d in self.derivations if d != "difference" or len(ring) > 2)


def _published(hop: int, n_features: int, copies: int) -> NetworkSpec:
    return NetworkSpec(
        patch=1,
        layers=3,
        bidirectional=True,
        trunks=n_features,
        copies=copies,
        k_outputs=12,
        classifier="cnn",
    )


def _patched(hop: int, n_features: int, copies: int) -> NetworkSpec:
    return NetworkSpec(patch=hop, copies=copies, pooled=True)


PRESETS: dict[PresetName, Preset] = {
    "realtime": Preset(
        features=(*RICH_FEATURES, *(name for name in PAPER_FEATURES if name not in RICH_FEATURES)),
        classifier_features=RICH_FEATURES,
        network=_patched,
        derivations=("channel", "difference", "average"),
        band=(20.0, 450.0),
        rest=True,
        per_channel=False,
    ),
    "paper": Preset(
        features=PAPER_FEATURES,
        classifier_features=PAPER_FEATURES,
        network=_published,
        derivations=("channel",),
        band=None,
        rest=False,
        per_channel=True,
    ),
}
