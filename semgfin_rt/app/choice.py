"""What to open: a stream, a recording or a synthetic person, and whether a checkpoint fits it.

Nothing here waits but `read_recording` and `synthetic_recording`, which belong in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from semgfin_rt import lsl
from semgfin_rt.app.session import Session
from semgfin_rt.app.settings import Live, Replay, Settings
from semgfin_rt.contracts import Recording, SignalSpec
from semgfin_rt.errors import ContractMismatchError, OptionError, RecordingError, StreamError
from semgfin_rt.folders import find_model, places
from semgfin_rt.lsl import MAX_SPEED, StreamDescription
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.recordings.cutting import cut_repetitions
from semgfin_rt.recordings.db2_schema import RATE, channel_names
from semgfin_rt.recordings.loading import iter_recordings

Kind: TypeAlias = Literal["stream", "recording", "synthetic"]
UNITS = ("V", "mV", "uV", "count")
SYNTHETIC_SPEC = SignalSpec(channel_names(12), RATE, "V")
HELP_NO_STREAM = """\
No stream is seen. What to look at:
• Is the sending program running, and does it send over LSL?
• On this machine, or on another? Others are seen only when this program is started with --lan.
• Does the firewall let through UDP 16571 (the search) and TCP and UDP 16572-16603 (the data)?
• VPN: it often takes the search with it; end it, or name the sender in KnownPeers of lsl_api.cfg.
• Docker and virtual machines: the search stays inside; start them in the network of the host.

This machine, as `semgfin-rt doctor` sees it:"""


class SourceChoice(BaseModel):
    """What was chosen, as far as it can be remembered.

    Attributes
    ----------
    kind : {"stream", "recording", "synthetic"}
    model : str
        Folder or name of the checkpoint.
    name, source_id : str
        Of a stream.
    unit : str
        The user's word for the stream's unit; empty: as the stream says.
    path : str
        Of a recording.
    subject : int or None
        Which; None: the first of a recording.
    test_only : bool
        Play the repetitions alone that are kept for testing, where there are some.
    speed : float
    loop : bool
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind = "synthetic"
    model: str = "demo"
    name: str = ""
    source_id: str = ""
    unit: Literal["", "V", "mV", "uV", "count"] = ""
    path: str = ""
    subject: int | None = Field(default=None, ge=1, le=10_000)
    test_only: bool = True
    speed: float = Field(default=1.0, gt=0, le=MAX_SPEED)
    loop: bool = True

    @property
    def title(self) -> str:
        """For the window."""
        if self.kind == "stream":
            return f"live: {self.name or self.source_id}"
        if self.kind == "recording":
            return f"replay: {self.path}"
        return f"replay: synthetic subject {self.subject or 1}"


# ------------------------------------------------------------------------------ fitting
@dataclass(frozen=True)
class ChannelRow:
    """One line of the table of channels.

    Attributes
    ----------
    source, checkpoint : str
        Names at this place; empty where there is none.
    words : str
        Whether they are the same, and where the source has that of the checkpoint otherwise.
    """

    source: str
    checkpoint: str
    words: str

    @property
    def fits(self) -> bool:
        """Whether both have the same name."""
        return self.source == self.checkpoint


@dataclass(frozen=True)
class Fit:
    """Whether a signal fits a checkpoint.

    Attributes
    ----------
    ok : bool
    words : str
        What fits, or one sentence on what does not.
    rows : tuple of ChannelRow
        Empty while the signal is not known.
    notes : tuple of str
        What had to be assumed, a sentence each.
    unit : str
        Of the source's values.
    """

    ok: bool
    words: str
    rows: tuple[ChannelRow, ...] = ()
    notes: tuple[str, ...] = ()
    unit: str = ""


def fit(
    contract: ModelContract, spec: SignalSpec, what: str, unit: str = "", notes: Sequence[str] = ()
) -> Fit:
    """Compare a signal with what a checkpoint takes.

    Parameters
    ----------
    contract : ModelContract
    spec : SignalSpec
    what : str
        How to call it, such as ``"the stream 'EMG'"``.
    unit : str, optional
        That of the samples, where `spec.unit` is what they are converted to.
    notes : sequence of str, optional
    """
    mine = contract.channels
    unit = unit or spec.unit
    rows = tuple(
        ChannelRow(theirs, ours, _place(theirs, ours, spec.channels))
        for theirs, ours in zip_longest(spec.channels, mine, fillvalue="")
    )
    try:
        contract.require_fit(spec, what)
    except ContractMismatchError as error:
        return Fit(False, str(error), rows, tuple(notes), unit)
    converted = f" ({unit} is converted)" if unit != spec.unit else ""
    words = f"{what} fits: {len(mine)} channels, {spec.rate:g} Hz, {spec.unit}{converted}."
    return Fit(True, words, rows, tuple(notes), unit)


def _place(theirs: str, ours: str, channels: Sequence[str]) -> str:
    """Say whether a channel is where the checkpoint has it."""
    if theirs == ours:
        return "the same"
    if not ours:
        return "not in the checkpoint"
    if ours in channels:
        return f"{ours} is number {channels.index(ours) + 1} of the source"
    return f"the source has no {ours}"


def fit_stream(contract: ModelContract, xml: bytes, unit: str) -> Fit:
    """Compare a stream's full description (as it comes over the network) with a checkpoint.

    Parameters
    ----------
    contract : ModelContract
    xml : bytes
    unit : str
        The user's word; empty: as the stream says.
    """
    try:
        said = lsl.parse_description(xml, unit or None, contract.channels)
    except StreamError as error:
        if not unit and _unit_is_missing(xml, contract.channels):
            return Fit(False, "The stream states no unit that is known here: choose its unit.")
        return Fit(False, str(error))
    return fit(contract, said.spec, "the stream", unit or said_unit(said), said.notes)


def said_unit(said: StreamDescription) -> str:
    """Return the unit in which a stream's values come."""
    if said.spec.unit == "count":
        return "count"
    return {1.0: "V", 1e-3: "mV", 1e-6: "uV"}.get(said.gain, "V")


def _unit_is_missing(xml: bytes, channels: Sequence[str]) -> bool:
    """Whether the stream could be read if only its unit were known."""
    try:
        lsl.parse_description(xml, "V", channels)
    except StreamError:
        return False
    return True


def fit_recording(contract: ModelContract, recording: Recording) -> Fit:
    """Compare a recording with a checkpoint."""
    what = f"subject {recording.subject} of '{recording.path}'"
    return fit(contract, recording.spec, what, notes=recording.notes)


# ------------------------------------------------------------------------------ finding
def models_found() -> dict[str, Path]:
    """Return the checkpoints that lie where they are looked for: name to folder."""
    found: dict[str, Path] = {}
    for place in places("models"):
        if place.is_dir():
            for folder in sorted(place.iterdir()):
                if (folder / "contract.json").is_file():
                    found.setdefault(folder.name, folder)
    return found


# ------------------------------------------------------------------------------ reading
def read_recording(choice: SourceChoice) -> Recording:
    """Read the recording of a choice, cut as it says; takes seconds for a large one.

    Raises
    ------
    RecordingError
        If it is missing or cannot be read.
    """
    if not choice.path:
        raise RecordingError("no recording was given: choose a file or folder.")
    subjects = None if choice.subject is None else [choice.subject]
    return _part(next(iter_recordings(Path(choice.path), subjects)), choice)


def synthetic_recording(choice: SourceChoice) -> Recording:
    """Generate the synthetic subject of a choice; takes seconds.

    Raises
    ------
    OptionError
        If there is no such subject.
    """
    from semgfin_rt.recordings.synthetic import synthetic_subject  # loads scipy.signal

    return _part(synthetic_subject(choice.subject or 1, 1), choice)


def _part(recording: Recording, choice: SourceChoice) -> Recording:
    there = recording.test_repetitions & set(recording.repetitions.tolist())
    if not (choice.test_only and there):
        return recording
    try:
        return cut_repetitions(recording, sorted(there))
    except OptionError as error:
        raise RecordingError(str(error)) from error


# ------------------------------------------------------------------------------ opening
def build_session(
    choice: SourceChoice, settings: Settings, recording: Recording | None = None
) -> Session:
    """Return the session of a choice, nothing of it started; takes seconds where it must read.

    Parameters
    ----------
    choice : SourceChoice
    settings : Settings
        Of the session before: kept as far as the checkpoint takes them.
    recording : Recording, optional
        Read already.

    Raises
    ------
    CheckpointError, ContractMismatchError, OptionError, RecordingError
        When it cannot be opened.
    """
    model = find_model(choice.model)
    if model != settings.model:
        settings = _for_another(settings, model)
    settings = replace(settings, seconds=None, record=None)
    if choice.kind == "stream":
        live = Live(choice.name or None, choice.source_id or None, choice.unit or None)
        return Session(settings, live)
    if recording is None:
        read = read_recording if choice.kind == "recording" else synthetic_recording
        recording = read(choice)
    return Session(settings, Replay(recording, choice.speed, choice.loop, stay=True))


def _for_another(settings: Settings, model: Path) -> Settings:
    """Return the settings with another checkpoint, without the parts of them that it lacks."""
    contract = load_contract(model)
    known = {word for c in contract.classes for word in (c.name.casefold(), str(c.id))}
    return replace(
        settings,
        model=model,
        horizons_ms=None,
        thresholds={k: v for k, v in settings.thresholds.items() if k.casefold() in known},
        rest_gate=None if contract.rest_gate is None else settings.rest_gate,
    )
