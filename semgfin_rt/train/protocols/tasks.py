"""What a plan consists of: checkpoints to train, and tasks that are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from semgfin_rt.train.options import FitOptions


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Base(_Part):
    """A checkpoint to train: of one person, or of those who are not tested.

    Attributes
    ----------
    key : str
        Follows from everything that the weights follow from: several protocols can share it.
    subjects : tuple of int
    options : FitOptions
    """

    key: str
    subjects: tuple[int, ...]
    options: FitOptions


class Amount(_Part):
    """What is known of the tested person.

    Attributes
    ----------
    condition : str
        As in `results.Figure`.
    kind : {"nothing", "unlabelled", "labelled"}
        Nothing (beyond what a base has learnt); some seconds without labels; repetitions.
    repetitions : tuple of int
    percent : float
        Of the windows of these repetitions.
    controls : tuple of str
        Methods of `controls` to score.
    """

    condition: str = ""
    kind: Literal["nothing", "unlabelled", "labelled"] = "nothing"
    repetitions: tuple[int, ...] = ()
    percent: float = 100.0
    controls: tuple[str, ...] = ()


class Task(_Part):
    """Test windows of one person, decided by one group of methods.

    Attributes
    ----------
    key : str
    protocol : str
    subject, seed : int
    method : str
        ``fin``, ``closed_form``, ``random_weights``, or ``controls`` for those without a network.
    bases : tuple of str
        Keys of the checkpoints to start from: one with all horizons, or one for each horizon.
        Controls take from it what is scored: window, hop, horizons and classes.
    amounts : tuple of Amount
    others : tuple of int
        Subjects whom the controls learn from, where the person's own labels are not known.
    repetitions : tuple of int
        Training repetitions of the person, for the schedule.
    """

    key: str
    protocol: str
    subject: int
    seed: int
    method: str
    bases: tuple[str, ...]
    amounts: tuple[Amount, ...] = (Amount(),)
    others: tuple[int, ...] = ()
    repetitions: tuple[int, ...] = ()


class Plan(_Part):
    """Everything that a run does: the bases first, then the tasks.

    Attributes
    ----------
    protocol, title : str
    bases : tuple of Base
    tasks : tuple of Task
    conditions : tuple of str
        In the order of the columns.
    notes : tuple of str
        Sentences for the report.
    """

    protocol: str
    title: str
    bases: tuple[Base, ...]
    tasks: tuple[Task, ...]
    conditions: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()
