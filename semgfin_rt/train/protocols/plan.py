"""Protocol, people and options -> what is to be done. Nothing is read or trained here."""

from __future__ import annotations

from itertools import product

from semgfin_rt.errors import OptionError
from semgfin_rt.train.controls import METHODS
from semgfin_rt.train.protocols.draft import NETWORKS, Draft
from semgfin_rt.train.protocols.options import ProtocolOptions
from semgfin_rt.train.protocols.survey import Person, Survey
from semgfin_rt.train.protocols.tasks import Amount, Plan
from semgfin_rt.train.results import SHARE

PROTOCOLS = {
    "imitation": "Imitation of features on people who were not trained on",
    "within": "Trained and tested on the same person",
    "fewshot": "Other people's checkpoint, adapted with little of a new person",
    "loso": "Other people's checkpoint on a new person, without a label of theirs",
    "horizon": "Accuracy against how far ahead",
    "paper": "The published grid: pre-trained on some, transferred to others",
}
"""Every protocol, and its heading."""

NOTHING = "nothing of the person"
_MOST_REPETITIONS = 4
_PUBLISHED = 25, 15  # subjects of pre-training and of transfer


def plan(name: str, found: Survey, options: ProtocolOptions) -> Plan:
    """Lay out a run.

    Parameters
    ----------
    name : str
        Among `PROTOCOLS`.
    found : Survey
    options : ProtocolOptions

    Raises
    ------
    OptionError
        For an unknown name, horizons without the present, which persistence and the schedule start
        from, or people who are too few for this protocol.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"'{name}' is no protocol: choose among {', '.join(PROTOCOLS)}.")
    horizons = options.fit.horizons_ms
    if 0 not in horizons:
        raise OptionError(
            f"--horizons {','.join(map(str, horizons))} lacks the present, from which the controls "
            f"of every forecast start: give 0,{','.join(map(str, horizons))}."
        )
    draft = Draft(name, found.people, options)
    {
        "imitation": _imitation,
        "within": _within,
        "fewshot": _fewshot,
        "loso": _loso,
        "horizon": _horizon,
        "paper": _paper,
    }[name](draft)
    return draft.plan(PROTOCOLS[name])


# --------------------------------------------------------------------------- the protocols
def _horizon(draft: Draft) -> None:
    _within(draft)
    draft.notes.append(
        "True lead: the horizon less the time of one decision on one thread, measured in this run."
    )


def _within(draft: Draft) -> None:
    """Everybody is trained on their own training repetitions."""
    for seed, person in product(draft.options.all_seeds, draft.people):
        for method in NETWORKS:
            base = draft.base(method, [person], seed, draft.fit)
            draft.task(person, seed, method, [base], [Amount()])
        scored = draft.base("fin", [person], seed, draft.fit)
        amount = Amount(kind="labelled", repetitions=person.training, controls=tuple(METHODS))
        draft.task(person, seed, "controls", [scored], [amount])


def _imitation(draft: Draft) -> None:
    amounts = [
        Amount(condition=NOTHING),
        Amount(condition=draft.unlabelled, kind="unlabelled"),
    ]
    if len(draft.people) == 1:
        draft.notes.append(
            "There is one subject alone: the FIN has learnt from this person's own training "
            "repetitions, so that nothing is said about people whom it does not know."
        )
        for seed in draft.options.all_seeds:
            base = draft.base("fin", draft.people, seed, draft.fit)
            draft.task(draft.people[0], seed, "fin", [base], [Amount()])
        return
    draft.notes.append(
        f"'{NOTHING}': the signal is z-scored as that of the people of the training; "
        f"'{draft.unlabelled}': with statistics of the person's own. {_excerpt_note(draft)}"
    )
    for seed, person, others in draft.each():
        base = draft.base("fin", others, seed, draft.fit)
        draft.task(person, seed, "fin", [base], amounts)


def _loso(draft: Draft) -> None:
    amounts = [Amount(condition=NOTHING)]
    if draft.adaptable:
        amounts.append(Amount(condition=draft.unlabelled, kind="unlabelled"))
    raw, own = (
        Amount(condition=NOTHING, controls=tuple(METHODS)),
        Amount(condition=draft.unlabelled, kind="unlabelled", controls=tuple(METHODS)),
    )
    draft.notes.append(
        "The controls have learnt from the other people's training repetitions, with their "
        "features as they are, or z-scored person by person with the unlabelled signal. "
        f"{_excerpt_note(draft)} {_present_note()}"
    )
    for seed, person, others in draft.each():
        for method in NETWORKS:
            base = draft.base(method, others, seed, draft.present)
            draft.task(person, seed, method, [base], amounts)
        scored = draft.base("fin", others, seed, draft.present)
        draft.task(person, seed, "controls", [scored], [raw, own], others)


def _fewshot(draft: Draft) -> None:
    draft.notes.append(
        "Controls have learnt from the same repetitions of the person; with 0 repetitions, from "
        f"the other people. {_excerpt_note(draft)} {_level_note()} {_present_note()}"
    )
    none = Amount(condition="0 repetitions", kind="unlabelled" if draft.adaptable else "nothing")
    for seed, person, others in draft.each():
        levels = [_level(person.training, percent) for percent in draft.options.levels]
        some = [
            Amount(
                condition="1 repetition" if n == 1 else f"{n} repetitions",
                kind="labelled",
                repetitions=person.training[:n],
            )
            for n in range(1, min(_MOST_REPETITIONS, len(person.training)) + 1)
        ]
        amounts = [*levels, none, *some]
        for method in NETWORKS:
            base = draft.base(method, others, seed, draft.present)
            for amount in amounts:
                draft.task(person, seed, method, [base], [amount])
        scored = draft.base("fin", others, seed, draft.present)
        with_controls = [a.model_copy(update={"controls": tuple(METHODS)}) for a in amounts]
        draft.task(person, seed, "controls", [scored], with_controls, others)


def _paper(draft: Draft) -> None:
    options = draft.options
    horizons, levels = options.fit.horizons_ms, options.levels
    known, unseen = _published_split(draft)
    if options.quick:
        known, unseen = known[:1], unseen[:1]
        horizons, levels = horizons[:2], tuple(dict.fromkeys((*levels[:1], *levels[-1:])))
    fit = options.fit.model_copy(update={"preset": "paper", "horizons_ms": horizons})
    draft.options = options.model_copy(update={"fit": fit})
    learnt = sorted(set(known[0].training))
    first, last = tuple(learnt[:-1] or learnt), tuple(learnt[-1:])
    draft.notes.append(
        f"Pre-trained on repetitions {', '.join(map(str, first))} of "
        f"{len(known)} people, whose checkpoint is then adapted: to each of them with repetition "
        f"{last[0]}, and to {len(unseen)} others. Every horizon has a network of its own, as "
        f"published. {_level_note()}"
    )
    for seed in draft.options.all_seeds:
        bases = {
            method: [
                draft.base(
                    method,
                    known,
                    seed,
                    draft.fit.model_copy(update={"horizons_ms": (ms,), "repetitions": first}),
                )
                for ms in draft.fit.horizons_ms
            ]
            for method in NETWORKS
        }
        for person in (*known, *unseen):
            amounts = [_level(person.training, percent) for percent in levels]
            learnt_from = amounts
            if person in known:
                condition = f"known people, repetition {last[0]}"
                amounts = [Amount(condition=condition, kind="labelled", repetitions=last)]
                # what the checkpoint has seen of this person, the controls see too
                learnt_from = [
                    a.model_copy(update={"repetitions": person.training}) for a in amounts
                ]
            for method, amount in product(NETWORKS, amounts):
                draft.task(person, seed, method, bases[method], [amount])
            draft.task(
                person,
                seed,
                "controls",
                bases["fin"],
                [a.model_copy(update={"controls": tuple(METHODS)}) for a in learnt_from],
            )


def _published_split(draft: Draft) -> tuple[list[Person], list[Person]]:
    people = list(draft.people)
    n_known, n_unseen = _PUBLISHED
    if len(people) < 2:
        raise OptionError(
            f"`paper` pre-trains on some people and transfers to others, and the data has "
            f"{len(people)}: give two or more subjects."
        )
    if len(people) != n_known + n_unseen:
        n_known = max(1, min(len(people) - 1, round(len(people) * n_known / sum(_PUBLISHED))))
        draft.notes.append(
            f"Published: {_PUBLISHED[0]} people for pre-training and {_PUBLISHED[1]} for transfer; "
            f"here {n_known} and {len(people) - n_known}."
        )
    return people[:n_known], people[n_known:]


def _level(repetitions: tuple[int, ...], percent: float) -> Amount:
    return Amount(
        condition=f"{percent:g} {SHARE}",
        kind="labelled",
        repetitions=repetitions,
        percent=percent,
    )


def _level_note() -> str:
    return (
        "A share of the data is the first part in time of the windows of every movement and "
        "repetition."
    )


def _present_note() -> str:
    return "Only the first horizon is asked for here; `horizon` and `within` have the forecasts."


def _excerpt_note(draft: Draft) -> str:
    return (
        f"The {draft.options.unlabelled_s:g} s of unlabelled signal are pieces of equal length "
        "from the middle of every movement of the person's first training repetition; labels "
        "served to cut these pieces and for nothing else."
    )
