"""Both ends of a run in words: whole in a sentence, short in a line, and never a stranger's."""

from __future__ import annotations

from dataclasses import replace

from semgfin_rt.app.ends import candidate_text, ends_text, published_text, source_text
from semgfin_rt.sources.identity import Candidate, Origin

ORIGIN = Origin("cuff", "arm-1", "lab-pc", "4f2a91c0-11", 12, 2000.0, "V")


def test_the_sentence_holds_everything():
    assert source_text(ORIGIN) == (
        "The signal is the stream 'cuff' (source_id 'arm-1', uid '4f2a91c0-11') of host "
        "'lab-pc': 12 channels, 2000 Hz, V."
    )
    assert published_text("d-7", 5005) == (
        "Decisions go out as the LSL stream 'd-7' and as JSON to UDP port 5005 of this machine."
    )
    assert published_text(None, None) == "Decisions are not published."


def test_the_line_is_short():
    line = "from arm-1 on lab-pc (uid 4f2a91c0...) · to UDP 5005 and LSL d-7"
    assert ends_text(ORIGIN, "d-7", 5005) == line
    nameless = replace(ORIGIN, source_id="", host="h" * 99)
    assert ends_text(nameless, None, None) == f"from cuff on {'h' * 20}... (uid 4f2a91c0...)"
    assert ends_text(None, "d-7", None) == "to LSL d-7"
    assert ends_text(None, None, None) == ""


def test_what_strangers_claim_is_cut_and_moves_no_cursor():
    wild = replace(ORIGIN, name="\x1b[2J" + "n" * 999, host="\u202e\n", uid="ü" * 999)
    texts = [source_text(wild), ends_text(wild, None, None)]
    texts.append(candidate_text(Candidate(wild.uid, wild.host)))
    for text in texts:
        assert text.isprintable()
        assert len(text) < 500
