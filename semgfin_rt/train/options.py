"""What a user can choose about a training run; the same names as the command line's."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_HORIZONS_MS = (0, 50, 100, 200, 300)


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    repetitions: tuple[int, ...] | None = None
    """For training; by default all that the dataset does not keep for testing."""
    shorten: float = Field(default=1.0, gt=0, le=1)
    """Share of the recipe's steps; below 1 it is a smoke run."""


class FitOptions(_Options):
    """Options of `fit`.

    Attributes
    ----------
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
    """

    preset: Literal["paper", "realtime"] = "realtime"
    window_ms: float = Field(default=300.0, gt=0)
    hop_ms: float = Field(default=10.0, gt=0)
    horizons_ms: tuple[int, ...] = DEFAULT_HORIZONS_MS
    rest: bool | None = None
    features: tuple[str, ...] | None = None
    classifier: Literal["cnn", "mlp"] | None = None
    per_channel: bool | None = None
    band: tuple[float, float] | Literal["none"] | None = None
    notch: float | None = None


class FinetuneOptions(_Options):
    """Options of `finetune`."""
