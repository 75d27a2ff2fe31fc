"""Chunk -> decisions: quality, filter, scale, ring, window, FIN, classifier, policy.

No thread, no clock, no I/O. Whatever the chunks' sizes, the same samples give bit-identical
decisions, because every window is decided by itself at one batch shape. Training and offline
evaluation use the same filter, scaling, window arithmetic and network in batches; a test pins that
their probabilities agree.

A window that holds a sample which cannot be signal, or that cannot be EMG (see `dsp.quality`), is
decided but never trusted. After such samples filter and policy start afresh, as after a loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semgfin_rt.contracts import Chunk, Decision, FloatArray
from semgfin_rt.decision import DecisionPolicy, PolicySpec
from semgfin_rt.dsp.filters import CausalFilter
from semgfin_rt.dsp.quality import Fault, Quality, QualityMonitor, recoveries, usable
from semgfin_rt.dsp.ring import RingBuffer
from semgfin_rt.dsp.scaling import Scaler
from semgfin_rt.dsp.windows import Windowing
from semgfin_rt.errors import ContractMismatchError
from semgfin_rt.features import closed_form
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backend import Backend


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
    sha256 : str
        Of the checkpoint as it was loaded, for those who say later what decided.

    Attributes
    ----------
    skipped : int
        Windows passed over with `newest_only`.
    quality : Quality or None
        Of the newest window that was decided on.
    """

    def __init__(
        self,
        contract: ModelContract,
        backend: Backend,
        policy: PolicySpec | None = None,
        on_stage: Callable[[str], None] | None = None,
        sha256: str = "",
    ) -> None:
        self.contract = contract
        self.sha256 = sha256
        self.skipped = 0
        self.backend = backend
        self._policy = DecisionPolicy(contract, policy or PolicySpec())
        self._on_stage = on_stage or (lambda _stage: None)
        self._filter = CausalFilter(contract.filter_sos)
        self._scale = Scaler(contract.scale_mean, contract.scale_std)
        self._windowing = Windowing(contract.window, contract.hop)
        self._ring = RingBuffer(contract.window + contract.hop, len(contract.channels))
        self._marks = RingBuffer(contract.window, len(contract.channels))
        self._monitor = QualityMonitor(
            contract.rate, contract.window, contract.hop, contract.scale_std
        )
        self._bad = False  # whether the last sample was marked in some channel
        self._after_loss = False
        self.quality: Quality | None = None

    @property
    def policy(self) -> PolicySpec:
        """How decisions are made of probabilities."""
        return self._policy.spec

    def set_policy(self, spec: PolicySpec) -> None:
        """Decide by another policy from the next window on.

        Raises
        ------
        OptionError
            If it does not fit the checkpoint.
        """
        self._policy.set(spec)

    @property
    def samples_to_next(self) -> int:
        """How many more samples complete the next window."""
        return self._windowing.samples_to_next(self._ring.written)

    @property
    def window(self) -> FloatArray | None:
        """View of the newest window, filtered and z-scored, (window, n_channels); None at first."""
        if self._ring.written < self.contract.window:
            return None
        since = self.contract.hop - self.samples_to_next
        return self._ring.newest(self.contract.window + since)[: self.contract.window]

    @property
    def untrusted(self) -> tuple[tuple[str, Fault], ...]:
        """Name and fault of the channels for which the newest window is not trusted."""
        if self.quality is None:
            return ()
        return tuple((self.contract.channels[i], fault) for i, fault in self.quality.faults)

    def closed_form(self) -> FloatArray | None:
        """Closed-form features of `window`, (n_features, n_channels): what the FIN imitates."""
        window = self.window
        return None if window is None else closed_form(window, self.contract.features)

    def reset(self) -> None:
        """Forget all samples: the next one does not follow in time on the last."""
        self._filter.reset()
        self._ring.clear()
        self._marks.clear()
        self._monitor.reset()
        self._bad = self._after_loss = False
        self.quality = None
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
            self._after_loss = True
        self._on_stage("start")
        marks = self._monitor.mark(chunk.samples)
        ready = self._scale(self._filtered(chunk.samples, marks))
        self._on_stage("filter")
        decisions: list[Decision] = []
        due = self._windowing.count(self._ring.written + len(ready)) - self._windowing.count(
            self._ring.written
        )
        done = 0
        while due:
            stop = done + self.samples_to_next
            self._ring.extend(ready[done:stop])
            self._marks.extend(marks[done:stop])
            done = stop
            due -= 1
            if newest_only and due:
                self.skipped += 1
            else:
                decisions.append(self._decide(chunk.first + done - 1, float(chunk.times[done - 1])))
        self._ring.extend(ready[done:])
        self._marks.extend(marks[done:])
        return decisions

    def _filtered(self, samples: FloatArray, marks: FloatArray) -> FloatArray:
        """Filter (n_samples, n_channels), afresh from where all channels are good again."""
        if not (self._bad or marks.any()):
            return self._filter(samples)
        samples = usable(samples, marks)
        filtered = self._filter.afresh(samples, recoveries(marks, after_bad=self._bad))
        self._bad = bool(marks[-1:].any()) if len(marks) else self._bad
        return filtered

    def _decide(self, sample: int, time: float) -> Decision:
        self._on_stage("start")
        window = self._ring.newest(self.contract.window)
        feature_map = self.backend.imitate(window[None])
        features = self.backend.features(feature_map)[0]
        self._on_stage("fin")
        log_probabilities = self.backend.classify(feature_map)[0]
        self._on_stage("cnn")
        self.quality = self._monitor.judge(
            window,
            self._marks.newest(self.contract.window),
            gap=self._after_loss and self._ring.written < 2 * self.contract.window,
        )
        trusted = not self.quality.bad.any()
        gated = self._policy.spec.rest_gate
        energy = float(np.mean(closed_form(window, ("log_rms",)))) if gated else float("inf")
        decision = self._policy(
            log_probabilities,
            features,
            sample=sample,
            time=time,
            energy=energy,
            trusted=trusted,
        )
        if not trusted:
            self._policy.reset()  # votes and labels from before it are of another time
        self._on_stage("policy")
        return decision
