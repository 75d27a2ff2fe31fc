"""The contract of a checkpoint: everything that must be known to run the weights beside it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from semgfin_rt.contracts import NO_LABEL, REST, SignalSpec, Unit
from semgfin_rt.errors import ContractMismatchError
from semgfin_rt.texts import printable


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClassLabel(_Frozen):
    """A class that the model knows: the label of the recordings, and its name."""

    id: int
    name: str


Derivation: TypeAlias = Literal["channel", "difference", "average"]
PresetName: TypeAlias = Literal["paper", "realtime"]
"""Each stands in `nn.presets` and `train.recipes`."""


class NetworkSpec(_Frozen):
    """Topology of FIN and classifier.

    Attributes
    ----------
    imitator : {"fin", "closed_form"}
        `closed_form` computes the features instead of imitating them: the control.
    derivations : tuple of {"channel", "difference", "average"}
        Signals whose features are imitated: the channels; the differences of neighbours in the
        ring; the channels against their average. See `nn.montage`.
    patch : int
        Samples that one LSTM step reads (1 in `paper`, one hop in `realtime`).
    hidden, layers : int
        Of the LSTM.
    bidirectional : bool
    pooled : bool
        The FIN's outputs also read the means over the window of the patches and of the LSTM's
        states: most features are means.
    trunks : int
        1: one LSTM with a head for each feature. n_features: one LSTM for each feature.
    copies : int
        1: the channels share weights. n_channels: every channel has its own.
    k_outputs : int
        FIN outputs for each feature and horizon (12 in `paper`: one "real" and 11 "shadow").
    classifier : {"cnn", "mlp"}
        `mlp` is mixed with a closed-form linear head (LDA).
    dropout : float
    """

    imitator: Literal["fin", "closed_form"] = "fin"
    derivations: tuple[Derivation, ...] = ("channel",)
    patch: int = Field(ge=1, le=10_000)
    hidden: int = Field(default=32, ge=1, le=1024)
    layers: int = Field(default=1, ge=1, le=8)
    bidirectional: bool = False
    pooled: bool = False
    trunks: int = Field(default=1, ge=1, le=64)
    copies: int = Field(default=1, ge=1, le=1024)
    k_outputs: int = Field(default=1, ge=1, le=64)
    classifier: Literal["cnn", "mlp"] = "mlp"
    dropout: float = Field(default=0.3, ge=0, le=1)


class TrainingRecord(_Frozen):
    """Where the weights come from; grows by one for every `fit` and `finetune`."""

    command: Literal["fit", "finetune", "adapt"]
    dataset: str
    subjects: tuple[int, ...]
    repetitions: tuple[int, ...]
    held_out: tuple[int, ...]
    """Training repetitions kept back to choose between candidates."""
    data_sha256: str
    windows: int
    seed: int
    steps: dict[str, int]
    seconds: float
    chosen: dict[str, float]
    """Held-out accuracy of each candidate, and the mixing weight that was kept."""
    versions: dict[str, str]
    date: str


def first_problem(error: ValidationError) -> str:
    """Say in pydantic's words, without its prefix, what is wrong first."""
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


class ModelContract(_Frozen):
    """Everything that must be known to run the weights beside it.

    Attributes
    ----------
    format : int
        Version of this schema.
    preset : {"paper", "realtime"}
    channels, rate, unit
        The signal the model takes; see `SignalSpec`.
    ring : tuple of int
        Indices of the channels that go once around the limb, in order; empty for none.
    rotation, mirrored : int, bool
        How this person wears the ring, against the people of the first training: after reversing
        it where mirrored, its channel k stands where theirs had channel k + rotation.
    filter_sos : tuple of 6-tuples
        Second-order sections of the causal filter; empty for none.
    scale_mean, scale_std : tuple of float
        Per channel, of the filtered training signal.
    window, hop : int
        In samples.
    features : tuple of str
        Names in `semgfin_rt.features`, in the order of the FIN's heads.
    classifier_features : tuple of str
        Those of `features` that the classifier reads; the rest is for display.
    feature_mean, feature_std : tuple of float
        Per feature, over training windows and channels: the FIN imitates standardised features.
    horizons_ms : tuple of int
        Ascending, multiples of the hop; rounded to whole hops where a hop is no whole number of
        ms (at 2148 Hz, say).
    classes : tuple of ClassLabel
    network : NetworkSpec
    rest_gate : float or None
        Mean over channels of log-RMS below which a model without rest class stays silent.
    test_repetitions : tuple of int
        Never seen in training.
    history : tuple of TrainingRecord
    metrics : dict
        Held-out accuracies of the last training run, measured before its last stage saw the
        held-out repetition; never of test data.
    """

    format: Literal[2] = 2
    preset: PresetName
    channels: tuple[str, ...]
    rate: float
    unit: Unit
    ring: tuple[int, ...] = ()
    rotation: int = 0
    mirrored: bool = False
    filter_sos: tuple[tuple[float, float, float, float, float, float], ...]
    scale_mean: tuple[float, ...]
    scale_std: tuple[float, ...]
    window: int
    hop: int
    features: tuple[str, ...]
    classifier_features: tuple[str, ...]
    feature_mean: tuple[float, ...]
    feature_std: tuple[float, ...]
    horizons_ms: tuple[int, ...]
    classes: tuple[ClassLabel, ...]
    network: NetworkSpec
    rest_gate: float | None = None
    test_repetitions: tuple[int, ...]
    history: tuple[TrainingRecord, ...] = ()
    metrics: dict[str, float] = {}

    @model_validator(mode="after")
    def _consistent(self) -> ModelContract:
        n_channels, n_features = len(self.channels), len(self.features)
        if not n_channels or not n_features or not self.classes or not self.horizons_ms:
            raise ValueError("channels, features, classes and horizons_ms must not be empty")
        if not len(self.scale_mean) == len(self.scale_std) == n_channels:
            raise ValueError(f"scale_mean and scale_std need {n_channels} values, one a channel")
        if not len(self.feature_mean) == len(self.feature_std) == n_features:
            raise ValueError(f"feature_mean and feature_std need {n_features} values")
        if min(*self.scale_std, *self.feature_std, self.rate) <= 0:
            raise ValueError("scale_std, feature_std and rate must be positive")
        if not 0 < self.hop <= self.window or self.window % self.network.patch:
            raise ValueError(
                f"window {self.window}, hop {self.hop} and patch {self.network.patch} do not fit: "
                "0 < hop <= window, and the window is a multiple of the patch"
            )
        if n_features % self.network.trunks or self.network.copies not in (1, n_channels):
            raise ValueError("trunks must divide the features, copies be 1 or one a channel")
        if not self.classifier_features:
            raise ValueError("classifier_features must not be empty")
        if not set(self.classifier_features) <= set(self.features):
            raise ValueError("classifier_features must be among features")
        if list(self.horizons_ms) != sorted({h for h in self.horizons_ms if h >= 0}):
            raise ValueError("horizons_ms must be ascending, different and not negative")
        hop_ms = 1000 * self.hop / self.rate
        if hop_ms.is_integer() and any(ms % hop_ms for ms in self.horizons_ms):
            raise ValueError(f"horizons_ms must be multiples of the hop, {hop_ms:g} ms")
        if len(set(self.horizons)) < len(self.horizons_ms):
            raise ValueError(f"horizons_ms must be at least a hop apart, {hop_ms:g} ms")
        if len(set(self.features)) < n_features:
            raise ValueError("features must differ from each other")
        return self

    @model_validator(mode="after")
    def _consistent_montage(self) -> ModelContract:
        n_channels = len(self.channels)
        if len(set(self.ring)) < len(self.ring) or not set(self.ring) <= set(range(n_channels)):
            raise ValueError("ring must name channels by their index, each once")
        derivations = self.network.derivations
        if derivations[:1] != ("channel",) or len(set(derivations)) < len(derivations):
            raise ValueError("derivations must begin with channel and differ from each other")
        if "difference" in derivations and len(self.ring) < 3:
            raise ValueError("differences of neighbours need a ring of 3 channels or more")
        if self.network.copies > 1 and len(derivations) > 1:
            raise ValueError("weights for each channel go with the derivation channel alone")
        return self

    @property
    def spec(self) -> SignalSpec:
        """The signal that the model takes."""
        return SignalSpec(self.channels, self.rate, self.unit)

    @property
    def has_rest(self) -> bool:
        """Whether rest is a class of the model."""
        return any(c.id == REST for c in self.classes)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons in samples, whole hops."""
        hop_ms = 1000 * self.hop / self.rate
        return tuple(round(ms / hop_ms) * self.hop for ms in self.horizons_ms)

    @property
    def present(self) -> int | None:
        """Place of the horizon of 0 ms, None without one."""
        return self.horizons_ms.index(0) if 0 in self.horizons_ms else None

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Labels, in the order of the classifier's outputs."""
        return tuple(c.id for c in self.classes)

    def learnt_repetitions(self, dataset: str, subject: int) -> frozenset[int]:
        """Repetitions of a person that any training of this checkpoint has learnt from.

        Numbers are compared, not samples: another recording under the same numbers counts as well.
        """
        return frozenset(
            repetition
            for record in self.history
            if record.dataset == dataset and subject in record.subjects
            for repetition in record.repetitions
        )

    def class_name(self, label: int) -> str:
        """Name of `label`; a dash for `NO_LABEL`, the number for a label the model lacks.

        It is to be shown: what is not printable in it is escaped.
        """
        names = (printable(c.name) for c in self.classes if c.id == label)
        return next(names, "-" if label == NO_LABEL else f"label {label}")

    def require_fit(self, spec: SignalSpec, what: str) -> None:
        """Refuse a signal that the model was not made for.

        Parameters
        ----------
        spec : SignalSpec
            What the stream or recording delivers.
        what : str
            How to call it in the message, such as ``"the stream 'EMG'"``.

        Raises
        ------
        ContractMismatchError
            With both values and the fix; nothing is resampled, reordered or truncated.
        """
        mine = self.spec
        if len(spec.channels) != len(mine.channels):
            raise ContractMismatchError(
                f"{what} has {len(spec.channels)} channels and the checkpoint was trained on "
                f"{len(mine.channels)}: choose a checkpoint for {len(spec.channels)} channels, "
                "or train one with `semgfin-train fit`."
            )
        if spec.rate != mine.rate:
            raise ContractMismatchError(
                f"{what} runs at {spec.rate:g} Hz and the checkpoint was trained at "
                f"{mine.rate:g} Hz: set the amplifier to {mine.rate:g} Hz, or train a checkpoint "
                f"at {spec.rate:g} Hz with `semgfin-train fit`."
            )
        if spec.unit != mine.unit:
            raise ContractMismatchError(
                f"{what} is in {spec.unit} and the checkpoint was trained on {mine.unit}: choose "
                f"a checkpoint trained on {spec.unit}, or have the source deliver {mine.unit}."
            )
        if spec.channels != mine.channels:
            first = next(
                i
                for i, (a, b) in enumerate(zip(spec.channels, mine.channels, strict=True))
                if a != b
            )
            raise ContractMismatchError(
                f"{what} calls channel {first + 1} '{spec.channels[first]}' and the checkpoint "
                f"'{mine.channels[first]}': name and order the stream's channels "
                f"{', '.join(mine.channels)}."
            )
