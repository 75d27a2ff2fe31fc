"""`semgfin-rt calibrate`: prompted movements -> a checkpoint of one person."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semgfin_rt.cli.common import (
    NOT_KEPT,
    choose_numbers,
    require_finite,
    require_writable,
    write_json,
)
from semgfin_rt.cli.options import QUICK, Json, Quick, Seed
from semgfin_rt.cli.run_options import Lan, Unit
from semgfin_rt.errors import OptionError

if TYPE_CHECKING:
    from semgfin_rt.app.calibration import Calibration, Verdict
    from semgfin_rt.app.comparison import Comparison
    from semgfin_rt.app.prompted import SyntheticPerson
    from semgfin_rt.app.settings import Live
    from semgfin_rt.app.tuning import Tuning
    from semgfin_rt.contracts import Recording

SYNTHETIC = "synthetic"
STRANGER = 99
"""Number of the synthetic person: no checkpoint of ours has learnt from it."""
FASTEST = 8.0


def calibrate(
    source: Annotated[
        str, typer.Option(help="synthetic, or the name of an LSL stream.", metavar="NAME")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the result.", metavar="FOLDER")],
    model: Annotated[
        str, typer.Option(help="Checkpoint to adapt: folder or name.", metavar="MODEL")
    ] = "demo",
    movements: Annotated[
        str | None,
        typer.Option(help="Labels, such as 1,2,5-7; by default all it knows.", metavar="N,N,…"),
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Of every movement; the last is held out.")] = 3,
    movement_s: Annotated[float, typer.Option(help="Length of a prompt in s.")] = 5.0,
    rest_s: Annotated[float, typer.Option(help="Length of a rest in s.")] = 3.0,
    order: Annotated[
        str, typer.Option(help="Of the movements in a repetition: random or contract.")
    ] = "random",
    redos: Annotated[
        int, typer.Option(min=0, max=9, help="How often a bad trial is prompted again.")
    ] = 2,
    subject: Annotated[
        int | None, typer.Option(min=1, help="Number of the person; 1, synthetic: 99.")
    ] = None,
    seed: Seed = 0,
    speed: Annotated[
        float | None, typer.Option(help="Of the synthetic person; at most 8, the default.")
    ] = None,
    unit: Unit = None,
    wait: Annotated[
        float, typer.Option(min=0.1, max=3600, help="How long to look for it, in s.", metavar="S")
    ] = 5.0,
    headless: Annotated[
        bool, typer.Option("--headless", help="Changes nothing: it never opens a window.")
    ] = False,
    quick: Quick = False,
    json_file: Json = None,
    lan: Lan = False,
) -> None:
    """Adapt a checkpoint to a person: prompted movements, fine-tuning, before and after."""
    del headless  # accepted as by the other commands; the window has a dialog of its own
    require_finite(movement_s=movement_s, rest_s=rest_s, speed=speed, wait=wait)
    require_writable(json_file)
    if order not in ("random", "contract"):
        raise OptionError(f"--order '{order}' is not known: choose random or contract.")
    from semgfin_rt import lsl
    from semgfin_rt.app.calibration import Calibration, Plan
    from semgfin_rt.app.prompted import require_unknown
    from semgfin_rt.app.prompts import Timing
    from semgfin_rt.app.tuning import Tuning, require_place
    from semgfin_rt.folders import find_model
    from semgfin_rt.nn.checkpoint_folder import load_contract
    from semgfin_rt.train.options import FinetuneOptions

    lsl.configure(lan)
    require_place(out)
    folder = find_model(model)
    contract = load_contract(folder)
    is_synthetic = source == SYNTHETIC
    subject = subject or (STRANGER if is_synthetic else 1)
    if is_synthetic:
        require_unknown(contract, subject)
    plan = Plan(
        choose_numbers(movements),
        repetitions,
        Timing(movement_s, rest_s),
        "contract" if order == "contract" else "random",
        seed,
        redos,
    )
    calibration = Calibration(contract, plan, subject, SYNTHETIC if is_synthetic else "session")
    person = _person(source, subject, seed, speed, unit, wait)
    trials = calibration.timetable().trials  # what is still to come, and later nothing is
    recording = _record(calibration, folder, person, counts_down=not is_synthetic)
    options = FinetuneOptions(seed=seed, shorten=QUICK if quick else 1.0)
    with Tuning(folder, recording, out, options) as tuning:
        kept, reason = _tune(tuning)
    if json_file is not None:
        result = _result(tuning) | {
            "checkpoint": None if kept is None else str(kept),
            "ok": not reason,
            "reason": reason,
            "trials": len(trials),
            "redone": calibration.redone,
            "left_out": list(recording.notes),
            "signal_s": len(recording.samples) / contract.rate,
            "movements": sorted({trial.movement for trial in trials}),
            "source": source,
            "subject": subject,
            "seed": seed,
            "model": str(folder),
        }
        write_json(json_file, result)
    if reason:
        typer.echo(f"semgfin-rt: {reason}.", err=True)
        raise typer.Exit(NOT_KEPT)


def _record(
    calibration: Calibration, folder: Path, person: SyntheticPerson | Live, *, counts_down: bool
) -> Recording:
    """Prompt the movements, and tell how it goes."""
    from semgfin_rt.app.prompted import run_prompts

    timing, timetable = calibration.plan.timing, calibration.timetable()
    print(
        f"{len(timetable.trials)} trials of {timing.movement_s:g} s with {timing.rest_s:g} s of "
        f"rest between, {timetable.end / calibration.contract.rate / 60:.1f} min of signal, for "
        f"{folder}.",
        flush=True,
    )
    for note in run_prompts(calibration, folder, person, _Teller(calibration, counts_down)):
        print(note)
    recording = calibration.recording()
    for note in recording.notes:
        print(note)
    return recording


def _tune(tuning: Tuning) -> tuple[Path | None, str]:
    """Fine-tune; return where the result is, if it is kept, and what it falls short of."""
    tuning.start()
    _watch(tuning)
    comparison = tuning.comparison
    if comparison is None:
        return None, tuning.failure.rstrip(".")
    print(_compared(comparison))
    if comparison.is_worse:
        return None, f"{comparison.shortfall}, so nothing was kept"
    kept = tuning.keep()
    print(f"wrote {kept}")
    return kept, comparison.shortfall


def _result(tuning: Tuning) -> dict[str, object]:
    if tuning.comparison is not None:
        return dict(vars(tuning.comparison))
    return dict.fromkeys(("before", "after", "lda", "seconds"))


def _person(
    source: str, subject: int, seed: int, speed: float | None, unit: str | None, wait: float
) -> SyntheticPerson | Live:
    from semgfin_rt.app.prompted import SyntheticPerson
    from semgfin_rt.app.settings import Live

    if source == SYNTHETIC:
        return SyntheticPerson(subject, seed, FASTEST if speed is None else speed)
    if speed is not None:
        raise OptionError(
            f"--speed {speed:g} is for --source synthetic: a person takes the time it takes."
        )
    return Live(source, None, unit, wait)


class _Teller:
    """Prints a line for every trial, and where a person follows, one for every second."""

    def __init__(self, calibration: Calibration, counts_down: bool) -> None:
        self._calibration, self._counts_down = calibration, counts_down
        self._told = ("", 0)
        self._judged = 0

    def __call__(self, verdicts: tuple[Verdict, ...]) -> None:
        for verdict in verdicts:
            self._judged += 1
            self._judge(verdict)
        if self._counts_down and not self._calibration.over:
            self._count_down()

    def _judge(self, verdict: Verdict) -> None:
        trial, name = verdict.trial, self._calibration.contract.class_name
        again = f", attempt {trial.attempt}" if trial.attempt > 1 else ""
        follows = "it will be prompted again" if verdict.redo else "it is left out"
        print(
            f"trial {self._judged} of {self._calibration.prompt.total}, repetition "
            f"{trial.repetition}{again}, {name(trial.movement)}: "
            f"{'good' if verdict.ok else f'{verdict.problem}; {follows}'}",
            flush=True,
        )

    def _count_down(self) -> None:
        prompt, name = self._calibration.prompt, self._calibration.contract.class_name
        if prompt.movement:
            what = f"NOW: {name(prompt.movement)}"
        elif prompt.next is not None:
            what = f"rest, then: {name(prompt.next)}"
        else:
            what = "rest"
        line = (what, math.ceil(prompt.left_s))
        if line != self._told:
            self._told = line
            print(f"[{prompt.number} of {prompt.total}] {what}, {line[1]} s", flush=True)


def _watch(tuning: Tuning) -> None:
    """Show the progress until the fine-tuning has ended."""
    from semgfin_rt.cli.progress import progress_bars

    with progress_bars() as report:
        shown = tuning.progress
        while tuning.wait(0.2) == "running":
            if tuning.progress.stage != shown.stage:
                report(shown.stage, shown.steps, shown.steps, 0.0)
            shown = tuning.progress
            report(shown.stage, shown.step, shown.steps, 0.0)
        report(shown.stage, shown.steps, shown.steps, 0.0)


def _compared(comparison: Comparison) -> str:
    def percent(value: float | None) -> str:
        return "unknown" if value is None else f"{100 * value:.1f} %"

    return (
        f"Repetition {comparison.held_out}, which was held out: {percent(comparison.before)} of "
        f"{comparison.windows} windows right before, {percent(comparison.after)} after "
        f"{comparison.seconds:.0f} s of fine-tuning; an LDA {percent(comparison.lda)}."
    )
