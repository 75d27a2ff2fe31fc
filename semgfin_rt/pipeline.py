"""Chunk -> decisions: filter, scale, ring, window, FIN, classifier, policy.

No thread, no clock, no I/O. Whatever the chunks' sizes, the same samples give bit-identical
decisions, because every window is decided by itself at one batch shape. Training and offline
evaluation use the same filter, scaling, window arithmetic and network in batches; a test pins that
their probabilities agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semgfin_rt.contracts import Chunk, Decision, FloatArray
from semgfin_rt.decision import DecisionPolicy, PolicySpec
from semgfin_rt.dsp.filters import CausalFilter
from semgfin_rt.dsp.ring import RingBuffer
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backends import Backend


class Pipeline:
    """Decides on every window that the chunks complete.

    Parameters
    ----------
    contract : ModelContract
    backend : Backend
        Runs the network of the same checkpoint.
    policy : PolicySpec
    on_stage : callable or None
        Called with ``"start"`` when work on a chunk or a window begins, and with ``"filter"``,
        ``"fin"``, ``"cnn"`` or ``"policy"`` when that stage has ended: the caller's stopwatch.

    Attributes
    ----------
    skipped : int
        Windows passed over with `newest_only`.
    """

    def __init__(
        self,
        contract: ModelContract,
        backend: Backend,
        policy: PolicySpec | None = None,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        self.contract = contract
        self.skipped = 0
        self.backend = backend
        self._policy = DecisionPolicy(contract, policy or PolicySpec())
        self._on_stage = on_stage or (lambda _stage: None)
        self._filter = CausalFilter(contract.filter_sos)
        self._scale = Scaler(contract.scale_mean, contract.scale_std)
        self._windowing = Windowing(contract.window, contract.hop)
        self._ring = RingBuffer(contract.window, len(contract.channels))
        self._damaged = -contract.window  # number of the last sample that was not finite

    @property
    def samples_to_next(self) -> int:
        """How many more samples complete the next window."""
        return self._windowing.samples_to_next(self._ring.written)

    @property
    def window(self) -> FloatArray | None:
        """View of the newest filtered and z-scored samples, (window, n_channels), once full."""
        if self._ring.written < self.contract.window:
            return None
        return self._ring.newest(self.contract.window)

    def closed_form(self) -> FloatArray | None:
        """Closed-form features of `window`, (n_features, n_channels): what the FIN imitates."""
        window = self.window
        return None if window is None else closed_form(window, self.contract.features)

    def reset(self) -> None:
        """Forget all samples: the next one does not follow in time on the last."""
        self._filter.reset()
        self._ring.clear()
        self._damaged = -self.contract.window
        self._policy.reset()

    def push(self, chunk: Chunk, *, newest_only: bool = False) -> list[Decision]:
        """Take a chunk and decide on every window that it completes.

        Parameters
        ----------
        chunk : Chunk
            After a loss the pipeline starts afresh: no window reaches across.
        newest_only : bool
            Decide on the newest of the completed windows alone and count the others as skipped:
            how a decider that is behind catches up.

        Raises
        ------
        ContractMismatchError
            When the chunk has another number of channels.
        """
        if chunk.samples.shape[1:] != (len(self.contract.channels),):
            raise ContractMismatchError(
                f"a chunk of shape {chunk.samples.shape} came and the checkpoint takes "
                f"{len(self.contract.channels)} channels: connect a stream that fits."
            )
        if chunk.lost:
            self.reset()
        self._on_stage("start")
        damaged = np.flatnonzero(~np.isfinite(chunk.samples).all(axis=1)) + self._ring.written
        ready = self._scale(self._filter(chunk.samples))
        self._on_stage("filter")
        decisions: list[Decision] = []
        due = self._windowing.count(self._ring.written + len(ready)) - self._windowing.count(
            self._ring.written
        )
        done = 0
        while due:
            stop = done + self.samples_to_next
            self._ring.extend(ready[done:stop])
            done = stop
            if len(before := damaged[damaged < self._ring.written]):
                self._damaged = int(before[-1])
            due -= 1
            if newest_only and due:
                self.skipped += 1
            else:
                decisions.append(self._decide(chunk.first + done - 1, float(chunk.times[done - 1])))
        self._ring.extend(ready[done:])
        if len(damaged):
            self._damaged = int(damaged[-1])
        return decisions

    def _decide(self, sample: int, time: float) -> Decision:
        self._on_stage("start")
        window = self._ring.newest(self.contract.window)
        feature_map = self.backend.imitate(window[None])
        features = self.backend.features(feature_map)[0]
        self._on_stage("fin")
        log_probabilities = self.backend.classify(feature_map)[0]
        self._on_stage("cnn")
        gated = self._policy.spec.rest_gate
        energy = float(np.mean(closed_form(window, ("log_rms",)))) if gated else float("inf")
        decision = self._policy(
            log_probabilities,
            features,
            sample=sample,
            time=time,
            energy=energy,
            trusted=self._ring.written - self._damaged > self.contract.window,
        )
        self._on_stage("policy")
        return decision
