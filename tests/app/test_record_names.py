from datetime import datetime
from pathlib import Path

import pytest

from semgfin_rt.app.record_names import file_name, first_folder, length_text, size_text

NOW = datetime(2027, 3, 1, 14, 3, 21)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("anna", "anna_2027-03-01_14-03-21.xdf"),
        ("", "session_2027-03-01_14-03-21.xdf"),
        ("../..", "session_2027-03-01_14-03-21.xdf"),
        ("Jörg / left: 2", "Jörg-left-2_2027-03-01_14-03-21.xdf"),
    ],
)
def test_a_name_says_who_and_when_and_fits_every_file_system(subject, name):
    assert file_name(subject, NOW) == name
    assert Path(name).name == name


def test_a_name_says_what():
    assert file_name("anna", NOW, "last-60-s") == "anna_2027-03-01_14-03-21_last-60-s.xdf"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.9, "0:59"), (125, "2:05"), (3599, "59:59"), (3725, "1:02:05")],
)
def test_lengths(seconds, text):
    assert length_text(seconds) == text


def test_sizes(tmp_path):
    file = tmp_path / "a.xdf"
    assert size_text(file) == ""
    file.write_bytes(bytes(1_260_000))
    assert size_text(file) == "1.3 MB"
    with file.open("r+b") as sparse:
        sparse.truncate(2_340_000_000)
    assert size_text(file) == "2.34 GB"


def test_the_first_folder_is_there():
    assert first_folder().is_dir()
