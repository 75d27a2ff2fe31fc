"""Both ends of a run in words: who sends the signal, and where the decisions go.

What a stream says of itself is the claim of a stranger: it is cut, and shown as ASCII.
"""

from __future__ import annotations

from semgfin_rt.sources.identity import Candidate, Origin

_SHORT, _LONG, _UID = 24, 100, 8


def source_text(origin: Origin) -> str:
    """Return all that is known of where the signal comes from, as a sentence."""
    return (
        f"The signal is the stream '{_claim(origin.name)}' (source_id "
        f"'{_claim(origin.source_id)}', uid '{_claim(origin.uid)}') of host "
        f"'{_claim(origin.host)}': {origin.n_channels} channels, {origin.rate:g} Hz, {origin.unit}."
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
        who = _claim(origin.source_id or origin.name, _SHORT)
        ends.append(f"from {who} on {_claim(origin.host, _SHORT)} (uid {_claim(origin.uid, _UID)})")
    ways = [] if udp_port is None else [f"UDP {udp_port}"]
    if publish_id is not None:  # last: it may be long, and a line that is full ends in an ellipsis
        ways.append(f"LSL {publish_id}")
    if ways:
        ends.append("to " + " and ".join(ways))
    return " \N{MIDDLE DOT} ".join(ends)


def candidate_text(candidate: Candidate) -> str:
    """Return what an operator confirms."""
    return f"Go on with uid {_claim(candidate.uid)} on {_claim(candidate.host)}"


def _claim(text: str, length: int = _LONG) -> str:
    shown = f"{text!a}"[1:-1]
    return shown if len(shown) <= length else shown[: length - 1] + "…"
