"""What is not printable is escaped, and nothing else."""

from __future__ import annotations

import pytest

from semgfin_rt.texts import printable


@pytest.mark.parametrize("text", ["", "wrist flexion", "Hände", "手首", "مِعصَم", "C:\\x", "'\""])
def test_letters_of_every_language_stay(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("é\n\x9b", r"é\n\x9b"),
        ("\u202egro", r"\u202egro"),
        ("\udc80", r"\udc80"),  # of a path that is no UTF-8
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_shown(text, shown):
    assert printable(text) == shown
    assert shown.isprintable()


def test_a_long_text_is_cut():
    assert printable("x" * 40, 40) == "x" * 40
    assert printable("x" * 41, 40) == "x" * 40 + "..."
