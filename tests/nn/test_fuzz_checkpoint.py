"""Rows 15 and 16 of the table of faults for checkpoints, and anything at all in their place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import tiny_checkpoint, tiny_contract

from semgfin_rt.app.faults import files
from semgfin_rt.errors import CheckpointError
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import CONTRACT, WEIGHTS, check_folder, sha256


@pytest.mark.parametrize("name", ["safetensors", "contract.json"])
def test_flipped_bits_give_a_network_or_a_sentence(name):
    tally = files.flip(name, 60, 1)
    assert tally.escaped == []
    assert tally.loaded + tally.refused == 60
    assert tally.refused > 10
    assert tally.worst_s < 10


def test_no_pickle_is_run():
    result = files.row16()
    assert result.ok, result.measured


def test_a_pickle_that_is_run_breaks_the_promise(monkeypatch):
    def read(path: Path) -> None:
        (path.parent / "executed").mkdir(exist_ok=True)

    monkeypatch.setattr(files, "check_folder", read)
    result = files.row16()
    assert not result.ok
    assert not result.measured.startswith("0 of")


# ------------------------------------------------------------------------- contract.json
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
_CONTRACT = json.loads(tiny_contract().model_dump_json())
_PLACES = [(key,) for key in _CONTRACT] + [("network", key) for key in _CONTRACT["network"]]


def _strange(old: Any) -> st.SearchStrategy[Any]:
    """Anything, or something like what was there."""
    like = [st.just([old, old]), st.integers(-5, 5), st.just(10**9), st.floats(allow_nan=False)]
    if isinstance(old, list):
        like += [st.just(old * 2), st.just(old[1:]), st.permutations(old), st.just(old * 1000)]
    return st.one_of(_JSON, *like)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("fuzz") / "model")


@settings(max_examples=150, deadline=5000, derandomize=True, database=None)
@given(data=st.data())
def test_a_strange_contract_is_a_sentence_or_harmless(folder, data):
    contract = json.loads(json.dumps(_CONTRACT))
    for *parents, key in data.draw(
        st.lists(st.sampled_from(_PLACES), min_size=1, max_size=3, unique=True)
    ):
        place = contract[parents[0]] if parents else contract
        if isinstance(place, dict):
            place[key] = data.draw(_strange(place.get(key)))
    (folder / CONTRACT).write_text(json.dumps(contract))
    refusal = ""
    try:
        network, _ = load_checkpoint(folder)
    except CheckpointError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
    else:
        assert all(np.isfinite(t.numpy()).all() for t in network.state_dict().values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"horizons_ms": [10 * i for i in range(100)]}, "tensors and the contract asks for more"),
        (
            {"horizons_ms": [10 * i for i in range(257)]},
            "names 257 horizons_ms, and must name 1 to 256",
        ),
        ({"classifier_features": []}, "classifier_features must not be empty"),
        ({"classes": [{"id": i, "name": ""} for i in range(5000)]}, "names 5000 classes"),
        (
            {"channels": [str(i) for i in range(2000)]}
            | {"scale_mean": [0.0] * 2000, "scale_std": [1.0] * 2000, "ring": []},
            "names 2000 channels, and must",
        ),
        (
            {"channels": [str(i) for i in range(1024)]}
            | {"scale_mean": [0.0] * 1024, "scale_std": [1.0] * 1024, "ring": []}
            | {"network": _CONTRACT["network"] | {"copies": 1024, "layers": 8, "trunks": 2}},
            "tensors and the contract asks for more",
        ),
    ],
)
def test_a_contract_for_a_million_modules_is_refused_at_once(folder, values, said):
    """As the last would be: 58 s and 0.7 GB on the way to find out."""
    (folder / CONTRACT).write_text(json.dumps(_CONTRACT | values))
    began = time.perf_counter()
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(folder)
    assert time.perf_counter() - began < 1


# ----------------------------------------------------------------------- anything at all
def _rubbish(place: Path) -> list[Path]:
    """Whatever could be named by mistake."""
    (place / "empty file").touch()
    (place / "empty folder").mkdir()
    (place / "text").write_text("hello")
    os.mkfifo(place / "pipe")
    with zipfile.ZipFile(place / "zip", "w") as archive:
        archive.writestr(CONTRACT, "{}")
    (place / "loop").symlink_to(place / "loop")
    full = place / "full folder"
    full.mkdir()
    for n in range(50):
        (full / f"{n}.pkl").write_bytes(b"\x80\x04N.")
    for name in (CONTRACT, WEIGHTS):
        for kind in ("pipe", "folder", "zeros", "empty"):
            odd = tiny_checkpoint(place / f"{name} is {kind}")
            (odd / name).unlink()
            if kind == "pipe":
                os.mkfifo(odd / name)
            elif kind == "folder":
                (odd / name).mkdir()
            elif kind == "zeros":
                (odd / name).symlink_to("/dev/zero")
            else:
                (odd / name).touch()
    long = Path("a" * 5000)
    return [*place.iterdir(), Path("/dev/null"), Path("/dev/zero"), Path("/proc/self"), long]


def test_anything_is_a_sentence_at_once(tmp_path):
    found = _rubbish(tmp_path)
    assert len(found) > 15
    for path in found:
        for read in (check_folder, load_checkpoint):
            began = time.perf_counter()
            with pytest.raises(CheckpointError) as caught:
                read(path)
            assert "\n" not in str(caught.value)
            assert time.perf_counter() - began < 1, path


@pytest.mark.parametrize("name", [CONTRACT, WEIGHTS])
def test_a_file_that_turns_into_a_pipe_is_not_waited_for(name, tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CheckpointError, match="is no file"):
        sha256(folder)


def test_a_folder_is_checked_without_torch(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    data = (folder / WEIGHTS).read_bytes()
    code = (
        "import sys; from pathlib import Path\n"
        "from semgfin_rt.nn.checkpoint_folder import check_folder\n"
        "from semgfin_rt.errors import CheckpointError\n"
        "try: print(check_folder(Path(sys.argv[1])).window)\n"
        "except CheckpointError as error: print(error)\n"
        "print('torch' in sys.modules)\n"
    )
    for content, said in ((data, "200"), (data[:-1], "is not a safetensors file")):
        (folder / WEIGHTS).write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
        )
        answer, torch = done.stdout.splitlines()
        assert said in answer
        assert torch == "False"
