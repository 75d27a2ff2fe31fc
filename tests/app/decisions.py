"""A tiny checkpoint contract, and decisions of it, for the tests beside."""

import numpy as np

from semgfin_rt.contracts import Decision, Movement, State
from semgfin_rt.model_contract import ClassLabel, ModelContract, NetworkSpec


def tiny_contract():
    """100 Hz, hop 10 ms = 1 sample, so that samples, hops and hundredths of a second are one."""
    return ModelContract(
        preset="realtime",
        channels=("a", "b"),
        rate=100,
        unit="V",
        filter_sos=(),
        scale_mean=(0, 0),
        scale_std=(1e-5, 3e-5),
        window=10,
        hop=1,
        features=("rms", "var"),
        classifier_features=("rms",),
        feature_mean=(1, 2),
        feature_std=(0.5, 4),
        horizons_ms=(0, 50),
        classes=(ClassLabel(id=0, name="rest"), ClassLabel(id=6, name="fist")),
        network=NetworkSpec(patch=1),
        test_repetitions=(),
    )


def decide(sample, label=6, state=State.VALID, ahead=None):
    probabilities = np.array([0.2, 0.8], np.float32)
    movements = tuple(
        Movement(ms, to, 0.8, probabilities, state)
        for ms, to in ((0, label), (50, label if ahead is None else ahead))
    )
    return Decision(sample, sample / 100, movements, np.zeros((2, 2, 2), np.float32))
