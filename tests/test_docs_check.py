"""What the checker of README and docs finds, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("docs_check", CHECKOUT / "docs" / "check.py")
check = importlib.util.module_from_spec(_spec)
sys.modules["docs_check"] = check  # dataclasses look their module up
_spec.loader.exec_module(check)


@pytest.fixture
def page(tmp_path):
    """Write a page and read it."""

    def write(text):
        path = tmp_path / "page.md"
        path.write_text(text)
        return check.read_page(path)

    return write


@pytest.fixture
def run(page, tmp_path):
    """Run the shell blocks of a page; return what was not run."""

    def run(text, *, full=False):
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        runner = check.Runner(folder, full, check.new_environment(tmp_path / "home", full=full))
        written = page(text)
        for block in written.blocks:
            runner.run(written, block)
        return runner.passed_over

    return run


def shell(text, *marks):
    return "".join(f"<!-- check: {mark} -->\n" for mark in marks) + f"```shell\n{text}\n```\n"


def test_lines_are_commands_without_comments_and_continuations(page):
    block = page(shell("# why\na 'b # c' \\\n  --d  # what\n\ne#f")).blocks[0]
    assert list(block.commands()) == [(3, "a 'b # c' --d"), (6, "e#f")]


def test_blocks_run_in_order_in_one_folder(run, tmp_path):
    assert run(shell("echo a >f") + "\n" + shell("test -z $DISPLAY\ngrep a f")) == []


def test_the_first_failure_says_where_what_and_why(run):
    with pytest.raises(check.PageError, match=r"(?s)page.md:3: `echo no; exit 4` ends with 4:\nno"):
        run(shell("true\necho no; exit 4\ntouch later"))


def test_what_the_marks_do(run, tmp_path):
    passed_over = run(
        shell("exit 1", "skip harms")
        + shell("exit 1", "full long")
        + shell("exit 3", "exit 3 slow")
        + shell("test -e NAME", "first touch given", "with NAME=given")
        + shell("grep beside log", "beside echo beside | tee log; sleep 60")
        + shell("while echo again; do sleep 0.1; done", "until 3 lines")
    )
    assert [told.split(": ", 1)[1] for told in passed_over] == [
        "1 not run: harms",
        "1 not run: long (--full runs it)",
    ]
    with pytest.raises(check.PageError, match="ends with 1"):
        run(shell("exit 1", "full long"), full=True)


def test_a_block_that_needs_recordings_is_passed_over_without(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMGFIN_3DC", str(tmp_path / "none"))
    assert "no 3DC recordings" in run(shell("exit 1", "needs 3DC"))[0]
    monkeypatch.setenv("SEMGFIN_3DC", str(tmp_path))
    assert run(shell("test -d 3DCDataset", "needs 3DC")) == []


@pytest.mark.parametrize(
    ("written", "run_as"),
    [
        ("semgfin-train fit D --out M", "semgfin-train fit D --out M --quick"),
        ("semgfin-rt verify M D --seconds 20", "semgfin-rt verify M D --seconds 2"),
        ("semgfin-rt doctor --minutes 1", "semgfin-rt doctor --minutes 0.05"),
        ("semgfin-train adapt M D --seconds 10", "semgfin-train adapt M D --seconds 10"),
    ],
)
def test_how_a_quick_run_shortens(written, run_as):
    assert check.shortened(written) == run_as


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (shell("semgfin-rt replay f --sped 2", "skip x"), "--sped is no option"),
        ("Use `semgfin-rt plya` now.", "`semgfin-rt plya` is no command"),
        ("Give `--sped`.", "--sped is no option"),
        ("```toml\na = \n```", "does not parse"),
        ("```python\nprint(\n```", "does not parse"),
        ("```xml\n<a>\n```", "does not parse"),
        ("```cobol\n```", "no language"),
        ("```{literalinclude} none.py\n```", "does not parse"),
        ("[a](none.md)", "leads to no file"),
        ("# A\n[a](#b)", "leads to no heading"),
    ],
)
def test_what_does_not_hold(page, text, wrong):
    with pytest.raises(check.PageError, match=wrong):
        check.check_text(page(text))


def test_what_holds(page):
    check.check_text(
        page(
            "# The `a`-part: b\n[a](#the-a-part-b) [b](https://nowhere.invalid/#c)\n"
            "`semgfin-rt replay --seconds 2` and `--udp PORT`\n```xml\n<a>...</a>\n```\n"
        )
    )


@pytest.mark.parametrize(
    "text", ["<!-- check: quik -->", "<!-- check: quick -->\ntext", "```shell"]
)
def test_a_mark_or_a_fence_out_of_place_is_told(page, text):
    with pytest.raises(check.PageError):
        page(text)


def test_a_machine_that_is_too_busy_is_no_fault_of_the_page(run):
    assert run(shell("echo 'close other programs'; exit 3")) == []
    with pytest.raises(check.PageError, match="ends with 3"):
        run(shell("echo 'the scenario failed'; exit 3"))
