# ruff: noqa: T201 - a program: what it finds goes to the terminal
"""Whether README and docs hold: commands run, examples parse, options exist, links lead somewhere.

    python docs/check.py [--full] [PAGE.md ...]

The shell blocks of a page run line by line, in their order, in one temporary folder with copies of
`models`, `replay`, `benchmarks` and `docs/examples`; two pages at a time, but with --full one. The
first failure of a page ends it. TOML, JSON, XML and Python blocks are parsed. Of every command that
a page names, run or not, each option must exist. HTML comments right before a block say more; the
page does not show them:

    <!-- check: skip WHY -->            is not run
    <!-- check: full WHY -->            is run with --full only
    <!-- check: quick -->               is shortened without --full, see `shortened`
    <!-- check: needs 3DC -->           is run where 3DC is at hand, which is 3DCDataset then
    <!-- check: with NAME=emg D=E -->   has these words written for those
    <!-- check: first COMMAND -->       COMMAND has run before
    <!-- check: beside COMMAND -->      COMMAND runs beside it, from its first printed line on
    <!-- check: until 3 lines -->       is ended once it has printed so many
    <!-- check: exit 3 WHY -->          3 is as good an exit code as 0; so it is if all is too busy
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("models", "replay", "benchmarks", "docs/examples", "docs/images")
PROGRAMS = {"semgfin-rt": "semgfin_rt.cli.rt", "semgfin-train": "semgfin_rt.cli.train"}
LIMIT_S = 600
"""A line that takes longer hangs; with --full, none is ended."""
START_S = 180
"""Until a command that does not end has printed its lines: imports take seconds when busy."""

_FENCE = re.compile(r"^(\s*)(`{3,})\s*(.*?)\s*$")
_MARK = re.compile(r"^\s*<!-- check: (\w+) ?(.*?) -->\s*$")
_COMMENT = re.compile(r"""('[^']*'|"[^"]*")|(?:^|\s+)#.*$""")
_SPAN = re.compile(r"(?<!`)`(?!`)([^`]+?)`(?!`)")
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
_OPTIONS = """
import importlib, json, sys, typer
command = typer.main.get_command(importlib.import_module(sys.argv[1]).app)
names = lambda c: [n for p in c.params for n in (*p.opts, *p.secondary_opts)] + ["--help"]
print(json.dumps({name: names(c) for name, c in command.commands.items()}))
"""
PARSERS: dict[str, Callable[[str], Any]] = {
    "toml": tomllib.loads, "json": json.loads, "xml": ET.fromstring, "python": ast.parse
}  # fmt: skip
WORDS = {"skip", "full", "quick", "needs", "with", "first", "beside", "until", "exit"}


_running: set[subprocess.Popen[str]] = set()


class PageError(Exception):
    """Something that a page says does not hold."""


@dataclass(frozen=True)
class Block:
    """A fenced block: language, line of its fence, text, and its marks as (word, rest)."""

    language: str
    line: int
    text: str
    marks: tuple[tuple[str, str], ...] = ()

    def told(self, word: str) -> list[str]:
        """Return what follows `word` in the marks."""
        return [rest for mark, rest in self.marks if mark == word]

    def commands(self) -> Iterator[tuple[int, str]]:
        """Return the commands of a shell block with their lines; comments are gone."""
        joined, first = "", 0
        for number, line in enumerate(self.text.splitlines(), self.line + 1):
            first = first if joined else number
            joined += line.strip()
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            if command := _COMMENT.sub(lambda quoted: quoted[1] or "", joined):
                yield first, command
            joined = ""


@dataclass
class Page:
    """A page: its blocks, and its text without them, every line of it where it was."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    prose: str = ""


def read_page(path: Path) -> Page:
    """Split a page into blocks and text."""
    page, marks, lines = Page(path), [], iter(enumerate(path.read_text("utf-8").splitlines(), 1))
    for number, line in lines:
        if (mark := _MARK.match(line)) and mark[1] in WORDS:
            marks.append((mark[1], mark[2]))
        elif "<!-- check" in line:
            raise PageError(f"{path}:{number}: '{line.strip()}' is no mark")
        elif fence := _FENCE.match(line):
            inside = []
            for _, text in lines:
                if text.strip() == fence[2]:
                    break
                inside.append(text.removeprefix(fence[1]))
            else:
                raise PageError(f"{path}:{number}: the block is not closed")
            page.blocks.append(Block(fence[3], number, "\n".join(inside), tuple(marks)))
            page.prose += "\n" * (len(inside) + 1)
            marks = []
        elif marks and line.strip():
            raise PageError(f"{path}:{number}: no block follows the mark above")
        else:
            page.prose += line
        page.prose += "\n"
    return page


def check_text(page: Page) -> None:
    """Check all that can be checked without running a command."""
    for block in page.blocks:
        place = f"{page.path}:{block.line}"
        try:
            _parse(block, page.path.parent)
        except (ValueError, SyntaxError, ET.ParseError, OSError) as error:
            raise PageError(f"{place}: the block does not parse: {error}") from error
        for number, command in block.commands() if block.language == "shell" else ():
            check_options(f"{page.path}:{number}", command)
    for match in _SPAN.finditer(page.prose):
        line = page.prose.count("\n", 0, match.start()) + 1
        if "\n\n" not in match[1]:
            check_options(f"{page.path}:{line}", " ".join(match[1].split()))
    check_links(page)


def _parse(block: Block, folder: Path) -> None:
    name, _, argument = block.language.partition(" ")
    if name in PARSERS:
        PARSERS[name](block.text)
    elif name == "{literalinclude}":
        ast.parse((folder / argument).read_text("utf-8"))
    elif name not in ("", "text", "shell") and not name.startswith("{"):
        raise ValueError(f"'{name}' is no language that is checked")


@cache
def options_of(program: str) -> dict[str, list[str]]:
    """Return the options of each command of a program."""
    asked = [sys.executable, "-c", _OPTIONS, PROGRAMS[program]]
    told: dict[str, list[str]] = json.loads(subprocess.check_output(asked, text=True))
    return told


def check_options(place: str, command: str) -> None:
    """Check that a command of ours exists, and all its options; or an option named alone."""
    words = command.split()
    if not words or not (words[0] in PROGRAMS or words[0].startswith("--")):
        return
    options = [w.split("=")[0] for w in words if re.match(r"--[a-z]", w)]
    programs = [words[0]] if words[0] in PROGRAMS else list(PROGRAMS)
    commands = {name: known for p in programs for name, known in options_of(p).items()}
    name = words[1] if len(words) > 1 and re.fullmatch("[a-z]+", words[1]) else None
    if words[0] in PROGRAMS and name and name not in commands:
        raise PageError(f"{place}: `{words[0]} {name}` is no command")
    known = commands.get(name or "", [o for given in commands.values() for o in given])
    for option in options:
        if option not in known:
            raise PageError(f"{place}: `{command}`: {option} is no option")


def check_links(page: Page) -> None:
    """Check that every relative link of a page leads to a file, and to a heading of it."""
    for match in _LINK.finditer(page.prose):
        target = match[1]
        if re.match(r"[a-z]+:", target):  # http, mailto: not offline
            continue
        place = f"{page.path}:{page.prose.count(chr(10), 0, match.start()) + 1}"
        name, _, anchor = target.partition("#")
        file = page.path.parent / name if name else page.path
        if not file.exists():
            raise PageError(f"{place}: '{target}' leads to no file")
        if anchor and anchor not in anchors(read_page(file).prose):
            raise PageError(f"{place}: '{target}' leads to no heading")


def anchors(prose: str) -> set[str]:
    """Return what links call the headings of a page, as GitHub and MyST make it."""
    headings = re.findall(r"^#+ +(.+?) *$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@dataclass
class Runner:
    """Runs the shell blocks of one page in `folder`."""

    folder: Path
    full: bool
    environment: dict[str, str]
    passed_over: list[str] = field(default_factory=list)

    def run(self, page: Page, block: Block) -> None:
        """Run a block, or note why not."""
        why = self._reason_not_to(block)
        if why:
            n = sum(1 for _ in block.commands())
            self.passed_over.append(f"{page.path}:{block.line}: {n} not run: {why}")
            return
        codes = {0, *(int(told.split()[0]) for told in block.told("exit"))}
        for command in block.told("first"):
            self._call(f"{page.path}:{block.line}", command, {0})
        with ExitStack() as beside:
            for command in block.told("beside"):
                beside.enter_context(self._beside(f"{page.path}:{block.line}", command))
            lines = [int(told.split()[0]) for told in block.told("until")]
            for number, written in block.commands():
                place, command = f"{page.path}:{number}", self._as_run(block, written)
                if lines:
                    with self._beside(place, command, lines[0]):
                        print(f"{place}: {lines[0]} lines of  {command}", flush=True)
                else:
                    self._call(place, command, codes)

    def _as_run(self, block: Block, command: str) -> str:
        for pair in " ".join(block.told("with")).split():
            old, new = pair.split("=", 1)
            command = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, command)
        return command if self.full or not block.told("quick") else shortened(command)

    def _reason_not_to(self, block: Block) -> str:
        if block.told("skip"):
            return block.told("skip")[0]
        if block.told("full") and not self.full:
            return f"{block.told('full')[0]} (--full runs it)"
        if "3DC" in block.told("needs"):
            recordings = Path(os.environ.get("SEMGFIN_3DC") or ROOT.parent / "shared/data/3dc")
            if not recordings.is_dir():
                return "no 3DC recordings here: get them as docs/data.md says, set SEMGFIN_3DC"
            if not (link := self.folder / "3DCDataset").exists():
                link.symlink_to(recordings.resolve())
        return ""

    def _start(self, command: str, output: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that it ends with all that it has started
        )
        _running.add(process)
        return process

    def _call(self, place: str, command: str, codes: set[int]) -> None:
        began = time.monotonic()
        process = self._start(command, subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=None if self.full else LIMIT_S)
        except subprocess.TimeoutExpired:
            output = f"not done after {LIMIT_S} s"
        finally:
            end(process)
        print(f"{place}: {time.monotonic() - began:.1f} s  {command}", flush=True)
        good = codes | {3} if "close other programs" in output else codes
        if process.poll() not in good:
            tail = "\n".join(output.splitlines()[-20:])
            raise PageError(f"{place}: `{command}` ends with {process.wait()}:\n{tail}")

    @contextmanager
    def _beside(self, place: str, command: str, lines: int = 1) -> Iterator[None]:
        """Run a command beside what is done with it, from its line number `lines` on."""
        log = self.folder / f"beside-{uuid.uuid4().hex}.log"
        with log.open("w") as file:
            process = self._start(command, file)
        try:
            patience = time.monotonic() + START_S
            while (said := log.read_text()).count("\n") < lines:
                if process.poll() is not None or time.monotonic() > patience:
                    raise PageError(f"{place}: `{command}` prints less than {lines} lines:\n{said}")
                time.sleep(0.05)
            yield
            if process.poll() is not None:
                raise PageError(f"{place}: `{command}` ended too early:\n{log.read_text()}")
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End a command with all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _running.discard(process)


def shortened(command: str) -> str:
    """Return a command of a quick run: fewer steps, less signal, fewer movements."""
    program, name, *_ = [*shlex.split(command), ""]
    if program == "semgfin-train" and name in ("fit", "finetune", "protocol"):
        command = re.sub(r" --seeds \S+", "", command) + " --quick"
        # Two per cent of the steps need not make it better.
        command += " --keep-worse" * (name == "finetune")
    if (program, name) == ("semgfin-train", "synth") and "--movements" not in command:
        command += " --movements 2 --repetitions 4"
    if (program, name) == ("semgfin-rt", "calibrate"):
        command += " --quick --movements 1,2"
    if program == "semgfin-rt" and name in ("demo", "replay", "live", "verify"):
        command = re.sub(r" --seconds \S+", "", command) + " --seconds 2"
    return re.sub(r" --minutes \S+", " --minutes 0.05", command)


def new_environment(home: Path, *, full: bool) -> dict[str, str]:
    """Return an environment without display, with a home and an LSL session of its own."""
    ours = dict(os.environ)
    for name in os.environ:
        if name.startswith(("SEMGFIN_", "XDG_", "QT_", "LSL")) or "DISPLAY" in name:
            del ours[name]
    session = f"check{uuid.uuid4().hex}"
    # Clients that know nothing of us are brought into the session by liblsl's own file.
    (home / "lsl_api").mkdir(parents=True, exist_ok=True)
    (home / "lsl_api/lsl_api.cfg").write_text(
        "[log]\nlevel = -3\n[multicast]\nResolveScope = machine\n"
        f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = {session}\n"
    )
    folders = {f"XDG_{k}_HOME": str(home / k.lower()) for k in ("CACHE", "CONFIG", "DATA")}
    if not full:  # the networks of a quick run are too small for two threads
        folders["OMP_NUM_THREADS"] = "1"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1", "SEMGFIN_LSL_SESSION": session}
    return ours | folders | own


def run_page(page: Page, full: bool) -> list[str]:
    """Run a page's shell blocks; return what was not run, and why."""
    with tempfile.TemporaryDirectory(prefix="semgfin-docs-") as temporary:
        folder, home = Path(temporary, "work"), Path(temporary, "home")
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name)
        runner = Runner(folder, full, new_environment(home, full=full))
        for block in page.blocks:
            if block.language == "shell":
                runner.run(page, block)
    return runner.passed_over


def main() -> None:
    """Check the pages; exit with 1 where something does not hold."""
    parser = argparse.ArgumentParser(description="Check README and docs.")
    parser.add_argument("--full", action="store_true", help="run every command as written")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE.md")
    given = parser.parse_args()
    os.chdir(ROOT)
    readmes = [Path("README.md"), Path("replay/README.md")]
    pages = given.pages or [*readmes, *sorted(Path("docs").glob("*.md"))]
    pool = ThreadPoolExecutor(1 if given.full else 2)
    try:
        for path in [*pages, Path("CONTRIBUTING.md")]:
            check_text(read_page(path))
        check_links(read_page(Path("CHANGELOG.md")))  # it may speak of what is gone
        notes = pool.map(lambda path: run_page(read_page(path), given.full), pages)
        passed_over = [note for page in notes for note in page]
    except PageError as error:
        raise SystemExit(str(error)) from None
    finally:  # Ctrl-C reaches none of the commands
        pool.shutdown(wait=False, cancel_futures=True)
        for process in tuple(_running):
            end(process)
    print(*passed_over, f"{len(pages)} pages hold.", sep="\n")


if __name__ == "__main__":
    main()
