"""What a user can choose about a training run; the same names as the command line's."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from semgfin_rt.model_contract import Derivation, PresetName

DEFAULT_HORIZONS_MS = (0, 50, 100, 200, 300)


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    repetitions: tuple[int, ...] | None = None
    """For training; by default all that the dataset does not keep for testing."""
    shorten: float = Field(default=1.0, gt=0, le=1)
    """Share of the recipe's steps and windows; below 1 it is a smoke run."""


class FitOptions(_Options):
    """Options of `fit`.

    Attributes
    ----------
    imitator : {"fin", "closed_form"}
        `closed_form` computes the features instead of imitating them: the control.
    pretrain : bool
        Whether the FIN learns to imitate. Without, it learns from random weights to tell the
        movements apart, in as many steps: a control.
    derivations : tuple or None
        Signals whose features are imitated, see `nn.montage`; None: as the preset and the ring
        have it.
    window_ms, hop_ms : float
    horizons_ms : tuple of int
        Multiples of the hop.
    rest : bool or None
        Rest as a class; None: as the preset has it (`realtime` yes, `paper` no).
    features : tuple of str or None
        What the FIN imitates and the classifier reads; None: as the preset has it.
    classifier : {"cnn", "mlp"} or None
    per_channel : bool
        Weights of its own for each channel from joint training on.
    band : (float, float), "none" or None
        Edges of the causal band-pass in Hz; None: as the preset has it (`paper` has none).
    notch : float or None
        Mains frequency in Hz.
    devices, nodes : int
        FIN pre-training runs on so many GPUs, or processes on a CPU, of each of so many nodes;
        what follows it runs on one. Several nodes need SLURM.
    precision : {"32-true", "bf16-mixed"}
        Of the FIN in its pre-training, on CUDA alone; the features it imitates and the loss stay
        in full precision. It helps where the FIN is large (`paper`).
    """

    preset: PresetName = "realtime"
    imitator: Literal["fin", "closed_form"] = "fin"
    pretrain: bool = True
    derivations: tuple[Derivation, ...] | None = None
    window_ms: float = Field(default=300.0, gt=0)
    hop_ms: float = Field(default=10.0, gt=0)
    horizons_ms: tuple[int, ...] = DEFAULT_HORIZONS_MS
    rest: bool | None = None
    features: tuple[str, ...] | None = None
    classifier: Literal["cnn", "mlp"] | None = None
    per_channel: bool | None = None
    band: tuple[float, float] | Literal["none"] | None = None
    notch: float | None = None
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


class FinetuneOptions(_Options):
    """Options of `finetune`.

    Attributes
    ----------
    tune : {"head", "all"} or None
        What is adapted: the classifiers alone, or the FIN as well, which goes on imitating (of a
        CNN: is trained together with it). None: the head of an MLP; all of a CNN, as published.
    replay : bool
        Whether the linear head also goes by the statistics of other people that the checkpoint
        keeps; no window of theirs is learnt again. A CNN has no such head: False is refused.
    new_session : bool
        Whether this is another recording of somebody whom the checkpoint may know under the same
        numbers: none of its repetitions is taken for one that was learnt.
    keep_worse : bool
        Whether a result is kept that is worse than the checkpoint on the held-out repetition.
    most_windows : int or None
        The recipe's limit of windows, made narrower; see `Recipe.windows`.
    """

    tune: Literal["head", "all"] | None = None
    replay: bool = True
    new_session: bool = False
    keep_worse: bool = False
    most_windows: int | None = Field(default=None, ge=1)


class AdaptOptions(BaseModel):
    """Options of `adapt`.

    Attributes
    ----------
    seconds : float
        At most so much of the signal is used.
    device : {"auto", "cpu", "cuda"}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=10.0, gt=0)
    device: str = "cpu"
