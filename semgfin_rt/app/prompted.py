"""A guided session through a real engine: a person with electrodes, or a synthetic one.

One thread, the caller's, runs the engine. The synthetic person is a recording of the timetable that
the player, a process of its own, sends through LSL; trials that are to be redone are another take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from semgfin_rt.app.calibration import Calibration, Verdict
from semgfin_rt.app.settings import Live
from semgfin_rt.contracts import Recording
from semgfin_rt.engine.player import Player
from semgfin_rt.engine.spec import EngineSpec
from semgfin_rt.errors import ContractMismatchError, StreamError
from semgfin_rt.interrupts import spared_ctrl_c
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.recordings.synthetic import Cue, synthetic_performance

_PLAYER_S = 20.0  # patience for our own player's streams, which are there already
_SPARE_TAKES = 2  # for trials that the end of a take has cut off

Tell = Callable[[tuple[Verdict, ...]], None]
"""Called after every turn of the engine with the verdicts it brought; `prompt` is up to date."""


@dataclass(frozen=True)
class SyntheticPerson:
    """Somebody who follows every prompt, `speed` times as fast as a person would."""

    subject: int
    seed: int = 0
    speed: float = 1.0

    def perform(self, calibration: Calibration, take: int) -> Recording:
        """Do what the calibration still asks for.

        Raises
        ------
        OptionError
            If a movement is unknown.
        ContractMismatchError
            If the checkpoint takes another signal.
        """
        timetable, contract = calibration.timetable(), calibration.contract
        slots = [timetable.slot(k) for k in range(len(timetable.trials))]
        cues = [
            Cue(trial.movement, trial.repetition, slot.on, slot.off)
            for trial, slot in zip(timetable.trials, slots, strict=True)
        ]
        recording = synthetic_performance(
            self.subject,
            self.seed,
            cues,
            timetable.end,
            n_channels=len(contract.channels),
            take=take,
        )
        contract.require_fit(recording.spec, recording.path)
        return recording


def require_unknown(contract: ModelContract, subject: int) -> None:
    """Refuse a synthetic subject of a number that the checkpoint has learnt.

    Raises
    ------
    ContractMismatchError
        There would be nothing to calibrate.
    """
    if contract.learnt_repetitions("synthetic", subject):
        raise ContractMismatchError(
            f"the checkpoint has learnt from a synthetic subject {subject}: choose another "
            "--subject, whom it does not know."
        )


def run_prompts(
    calibration: Calibration, model: Path, source: SyntheticPerson | Live, tell: Tell
) -> tuple[str, ...]:
    """Take a person through a calibration; return what had to be assumed about the stream.

    Parameters
    ----------
    calibration : Calibration
    model : Path
        Folder of the checkpoint that decides meanwhile.
    source : SyntheticPerson or Live
    tell : callable

    Raises
    ------
    StreamError
        If the stream is missing or not usable, or ends before the session does.
    ContractMismatchError
        If it is not the checkpoint's.
    """
    from semgfin_rt.engine.build import build_engine, build_pipeline  # loads for 2 s and more

    built = build_pipeline(model)

    def run(spec: EngineSpec) -> tuple[str, ...]:
        built.pipeline.reset()
        engine = build_engine(spec, built)
        try:
            engine.connect()
            while not (engine.done or calibration.over):
                chunk = engine.step().chunk
                tell(calibration.take(chunk.samples, chunk.first))
        finally:
            engine.close()
        return built.notes + engine.source.notes

    if isinstance(source, Live):
        notes = run(
            EngineSpec(
                model, source.name, source.source_id, unit=source.unit, resolve_s=source.wait_s
            )
        )
        if not calibration.over:
            raise StreamError(
                f"the stream '{source.name}' ended before the last prompt: start its program "
                "again, and calibrate again."
            )
        return notes
    for take in range(calibration.plan.redos + _SPARE_TAKES):
        player = Player(source.perform(calibration, take), speed=source.speed)
        try:
            with spared_ctrl_c():
                player.start()
            notes = run(
                EngineSpec(
                    model,
                    source_id=player.source_id,
                    truth_id=player.truth_id,
                    resolve_s=_PLAYER_S,
                )
            )
        finally:
            player.stop()
        if calibration.over:
            return notes
        calibration.resume()
    raise StreamError(
        "the synthetic person's signal broke off again and again: choose a lower --speed, or see "
        "what else this machine is doing."
    )
