"""Results reach files, links and devices."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from semgfin_rt.cli.common import new_app, require_writable, run, write_json
from semgfin_rt.errors import CheckpointError, OptionError


def test_a_file_is_replaced_and_a_link_stays(tmp_path):
    real, link = tmp_path / "far" / "real.json", tmp_path / "link.json"
    real.parent.mkdir()
    link.symlink_to(real)
    for values in ({"a": 1}, {"a": 2}):  # dangling at first
        require_writable(link)
        write_json(link, values)
        assert link.is_symlink()
        assert json.loads(real.read_text()) == values
    assert sorted(p.name for p in tmp_path.rglob("*.json")) == ["link.json", "real.json"]


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    require_writable(pipe)
    write_json(pipe, {"a": 1})
    assert json.loads(os.read(reader, 100)) == {"a": 1}
    os.close(reader)
    assert pipe.is_fifo()


def test_devices_stay_devices():
    for device in (Path("/dev/null"), Path("/dev/stdout")):
        require_writable(device)
    write_json(Path("/dev/null"), {"a": 1})
    assert Path("/dev/null").is_char_device()


def test_what_cannot_be_written_is_said(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere" / "r.json"):
        with pytest.raises(OptionError, match="cannot be written"):
            require_writable(path)
        with pytest.raises(OptionError, match="cannot be written"):
            write_json(path, {})
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line_that_the_terminal_does_not_obey(monkeypatch, capsys):
    app = new_app("For a test.")

    @app.command()
    def find(name: str) -> None:
        raise CheckpointError(f"'{name}'\nis unknown.")

    monkeypatch.setattr("sys.argv", ["test", "Hände\x1b[2J\u202e"])
    with pytest.raises(SystemExit):
        run(app, "test")
    assert capsys.readouterr().err == "test: 'Hände\\x1b[2J\\u202e' is unknown.\n"
