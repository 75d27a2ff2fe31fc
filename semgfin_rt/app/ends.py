"""Both ends of a run in words: who sends the signal, and where the decisions go."""

from __future__ import annotations

from semgfin_rt.sources.identity import Candidate, Origin
from semgfin_rt.texts import printable

_SHORT, _LONG, _UID = 20, 100, 8  # characters of what strangers say of themselves


def source_text(origin: Origin) -> str:
    """Return all that is known of where the signal comes from, as a sentence."""
    name, source_id, uid, host = (
        printable(claim, _LONG)
        for claim in (origin.name, origin.source_id, origin.uid, origin.host)
    )
    return (
        f"The signal is the stream '{name}' (source_id '{source_id}', uid '{uid}') of host "
        f"'{host}': {origin.n_channels} channels, {origin.rate:g} Hz, {origin.unit}."
    )


def published_text(publish_id: str | None, udp_port: int | None) -> str:
    """Return where the decisions go, as a sentence."""
    ways = [] if publish_id is None else [f"as the LSL stream '{publish_id}'"]
    if udp_port is not None:
        ways.append(f"as JSON to UDP port {udp_port} of this machine")
    return f"Decisions go out {' and '.join(ways)}." if ways else "Decisions are not published."


def ends_text(origin: Origin | None, publish_id: str | None, udp_port: int | None) -> str:
    """Return both in a few words, for a line that is always seen."""
    ends = []
    if origin is not None:
        who = printable(origin.source_id or origin.name, _SHORT)
        ends.append(
            f"from {who} on {printable(origin.host, _SHORT)} (uid {printable(origin.uid, _UID)})"
        )
    ways = [] if udp_port is None else [f"UDP {udp_port}"]
    if publish_id is not None:  # last: it may be long, and a line that is full ends in an ellipsis
        ways.append(f"LSL {publish_id}")
    if ways:
        ends.append("to " + " and ".join(ways))
    return " \N{MIDDLE DOT} ".join(ends)


def candidate_text(candidate: Candidate) -> str:
    """Return what an operator confirms."""
    return f"Go on with uid {printable(candidate.uid, _LONG)} on {printable(candidate.host, _LONG)}"
