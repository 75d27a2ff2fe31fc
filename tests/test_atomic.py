"""A file is there whole, or as it was before."""

from __future__ import annotations

import pytest

from semgfin_rt.atomic import written_whole


def test_it_has_its_name_only_at_the_end(tmp_path):
    file = tmp_path / "a.txt"
    with written_whole(file) as part:
        part.write_text("new")
        assert not file.exists()
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a.txt", "new")]


def test_a_failure_leaves_what_was_there(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def fail():
        with written_whole(file) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(FileNotFoundError), written_whole(file):
        pass  # nothing was written
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with written_whole(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_what_cannot_be_named_so_is_told_as_it_is(tmp_path):
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(IsADirectoryError), written_whole(tmp_path / "folder") as part:
        part.write_text("new")
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]
    nowhere = tmp_path / "none" / "a.txt"
    with pytest.raises(FileNotFoundError), written_whole(nowhere) as part:
        part.write_text("new")
