"""A checkpoint comes back to the bit, or is refused in one sentence; nothing in it is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from signals import tiny_checkpoint, tiny_contract

from semgfin_rt.errors import CheckpointError
from semgfin_rt.nn import checkpoint_folder
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import CARD, CONTRACT, WEIGHTS, load_contract, sha256
from semgfin_rt.nn.network import Network


@pytest.fixture
def folder(tmp_path):
    return tiny_checkpoint(tmp_path / "model")


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert str(folder) in message
    return message


def rewrite(folder, change):
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


def contents(folder: Path):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------ round trip
def test_round_trip(tmp_path):
    torch.manual_seed(3)
    network, contract = Network(tiny_contract()), tiny_contract()
    network.classifiers[0].mix.fill_(0.3)
    save_checkpoint(tmp_path / "deep" / "model", network, contract, "# card\n")
    loaded, read = load_checkpoint(tmp_path / "deep" / "model")
    assert read == contract == load_contract(tmp_path / "deep" / "model")
    assert not loaded.training
    state = network.state_dict()
    assert set(loaded.state_dict()) == set(state)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[name]), name
        assert tensor.dtype == state[name].dtype
    assert (tmp_path / "deep" / "model" / CARD).read_text() == "# card\n"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["model"]


def test_saving_does_not_change_the_network(tmp_path):
    network = Network(tiny_contract()).train()
    save_checkpoint(tmp_path / "model", network, tiny_contract(), "")
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


def test_sha256_tells_weights_and_contracts_apart(tmp_path, folder):
    first = sha256(folder)
    other = tiny_checkpoint(tmp_path / "other")
    assert sha256(other) == first
    rewrite(other, lambda state: state["imitator.fins.0.head.bias"].add_(1))
    assert sha256(other) != first
    shutil.copy(folder / WEIGHTS, other)
    (other / CONTRACT).write_text(tiny_contract((0, 100)).model_dump_json())
    assert sha256(other) != first


# --------------------------------------------------------------------------------- refused
def test_a_missing_folder(tmp_path):
    assert "there is no checkpoint at" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [WEIGHTS, CONTRACT])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert "is not a checkpoint: give a folder that holds" in refusal(folder)


def test_a_file_in_place_of_the_folder(folder):
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(folder / WEIGHTS)


class _Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_under_another_name_is_never_run(tmp_path, folder, protocol):
    victim = tmp_path / "executed"
    data = pickle.dumps(_Payload(victim), protocol=protocol)
    (folder / WEIGHTS).write_bytes(data)
    assert "is not a safetensors file" in refusal(folder)
    assert not victim.exists()
    pickle.loads(data)  # it would have
    assert victim.exists()


def test_a_torch_file_under_another_name_is_never_run(tmp_path, folder):
    victim = tmp_path / "executed"
    torch.save({"weights": _Payload(victim)}, folder / WEIGHTS)
    assert "is not a safetensors file" in refusal(folder)
    (folder / CONTRACT).write_bytes((folder / WEIGHTS).read_bytes())
    assert "is not a valid contract" in refusal(folder)
    assert not victim.exists()


@pytest.mark.parametrize("kept", [0, 5, 8, 300, -1])
def test_truncated(folder, kept):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:kept])
    assert "is not a safetensors file" in refusal(folder)


@pytest.mark.parametrize("length", [1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_huge_header(folder, length):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", length) + data[8:])
    assert "is not a safetensors file" in refusal(folder)


def test_a_header_over_the_limit_though_the_file_is_as_long(folder, monkeypatch):
    monkeypatch.setattr(checkpoint_folder, "_LARGEST_HEADER", 100)
    assert "is not a safetensors file" in refusal(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 63, 0], "data_offsets": [0, 0]},
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
        {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "pickle", "shape": [1], "data_offsets": [0, 4]},
    ],
)
def test_strange_headers(folder, entry):
    header = json.dumps({"imitator.fins.0.head.bias": entry}).encode()
    data = bytes(max(entry["data_offsets"]))
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + data)
    refusal(folder)


def test_flipped_bits_give_an_error_or_a_finite_network(folder):
    """The parent never dies (fault 15): header and first tensors, one bit at a time."""
    whole = (folder / WEIGHTS).read_bytes()
    rng = np.random.default_rng(0)
    header = struct.unpack("<Q", whole[:8])[0]
    refused = 0
    for at in rng.integers(0, 8 * (8 + header + 500), 200):
        data = bytearray(whole)
        data[at // 8] ^= 1 << (at % 8)
        (folder / WEIGHTS).write_bytes(data)
        try:
            network, _ = load_checkpoint(folder)
        except CheckpointError:
            refused += 1
        else:
            assert all(torch.isfinite(t).all() for t in network.state_dict().values())
    assert refused > 100


NAME = "imitator.fins.0.head.bias"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update({NAME: torch.zeros(9)}), f"holds '{NAME}' as torch.float32 (9,)"),
        (lambda s: s.update({NAME: s[NAME].double()}), f"holds '{NAME}' as torch.float64"),
        (lambda s: s.update({NAME: s[NAME].half()}), f"holds '{NAME}' as torch.float16"),
        (lambda s: s[NAME].fill_(float("nan")), f"holds '{NAME}' with NaN or infinity"),
        (lambda s: s[NAME][:1].fill_(float("inf")), f"holds '{NAME}' with NaN or infinity"),
        (lambda s: s.update(extra=torch.zeros(1)), "has an unexpected tensor 'extra'"),
        (lambda s: s.pop(NAME), f"lacks tensor '{NAME}'"),
    ],
)
def test_other_tensors_than_the_contract_asks_for(folder, change, said):
    rewrite(folder, change)
    assert said in refusal(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"surprise": 1}, "(surprise: Extra inputs are not permitted)"),
        ({"format": 3}, "(format: "),
        ({"format": "2"}, "(format: "),
        ({"window": None}, "(window: "),
        ({"channels": ["a"]}, "(the whole file: "),
    ],
)
def test_an_invalid_contract(folder, values, said):
    data = json.loads((folder / CONTRACT).read_text())
    (folder / CONTRACT).write_text(json.dumps(data | values))
    message = refusal(folder)
    assert f"{CONTRACT} is not a valid contract" in message
    assert said in message


def test_a_contract_of_the_first_format(folder):
    """Its weights mean something else: a person's statistics were not among them."""
    data = json.loads((folder / CONTRACT).read_text())
    for name in ("ring", "rotation", "mirrored"):
        del data[name]
    for name in ("imitator", "derivations"):
        del data["network"][name]
    (folder / CONTRACT).write_text(json.dumps(data | {"format": 1}))
    message = refusal(folder)
    assert "(format: Input should be 2): train the checkpoint again" in message
    assert message.count(". ") == message.count("\n") == 0
    with pytest.raises(CheckpointError, match="format: Input should be 2"):
        load_contract(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\udcff"])
def test_a_contract_that_is_no_json(folder, text):
    (folder / CONTRACT).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert f"{CONTRACT} is not a valid contract" in refusal(folder)


def test_a_contract_for_another_network(folder):
    data = json.loads((folder / CONTRACT).read_text())
    data["network"]["hidden"] = 16
    (folder / CONTRACT).write_text(json.dumps(data))
    assert "and the contract asks for" in refusal(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONTRACT])
def test_a_file_over_the_limit_is_not_read(folder, name):
    with (folder / name).open("r+b") as file:
        file.truncate(checkpoint_folder._LARGEST[name] + 1)  # sparse: takes no disk
    assert "more than any checkpoint of this program" in refusal(folder)


def test_a_contract_for_a_giant_takes_no_memory_before_the_weights_are_compared(folder):
    data = json.loads((folder / CONTRACT).read_text())
    data["network"] |= {"hidden": 1024, "layers": 8, "trunks": 2}  # 540 MB of weights
    (folder / CONTRACT).write_text(json.dumps(data))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from semgfin_rt.errors import CheckpointError\n"
        "from semgfin_rt.nn.checkpoint import load_checkpoint\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "try: load_checkpoint(Path(sys.argv[1]))\n"
        "except CheckpointError: print((used() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 150  # MB


# ------------------------------------------------------------------------------- replacing
def test_an_older_checkpoint_is_replaced(tmp_path, folder):
    torch.manual_seed(1)
    fresh = Network(tiny_contract())
    save_checkpoint(folder, fresh, tiny_contract(), "# second\n")
    loaded, _ = load_checkpoint(folder)
    assert torch.equal(loaded.state_dict()[NAME], fresh.state_dict()[NAME])
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    load_checkpoint(tiny_checkpoint(tmp_path / "empty"))


@pytest.mark.parametrize("files", [["notes.txt"], ["contract.json", "notes.txt"], [WEIGHTS]])
def test_a_folder_that_is_no_checkpoint_is_never_overwritten(tmp_path, files):
    folder = tmp_path / "thesis"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="exists and is not a checkpoint"):
        tiny_checkpoint(folder)
    assert contents(tmp_path) == before


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "model").write_text("years of work")
    with pytest.raises(CheckpointError, match="exists and is not a checkpoint"):
        tiny_checkpoint(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "years of work"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be written .*: choose a folder that can"):
        tiny_checkpoint(tmp_path / "file" / "model")


@pytest.mark.parametrize("failing", [WEIGHTS, CONTRACT, CARD])
def test_a_full_disk_keeps_the_older_checkpoint(tmp_path, folder, monkeypatch, failing):
    before = contents(folder)
    write_bytes, write_text = Path.write_bytes, Path.write_text

    def full(write):
        def attempt(self, *args, **kwargs):
            if self.name == failing:
                raise OSError(28, "No space left on device")
            return write(self, *args, **kwargs)

        return attempt

    monkeypatch.setattr(Path, "write_bytes", full(write_bytes))
    monkeypatch.setattr(Path, "write_text", full(write_text))
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(folder, Network(tiny_contract()), tiny_contract(), "")
    assert contents(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_failure_in_the_last_step_keeps_the_older_checkpoint(folder, monkeypatch):
    before = contents(folder)
    rename = Path.rename

    def attempt(self, target):
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", attempt)
    with pytest.raises(CheckpointError, match="Input/output error"):
        save_checkpoint(folder, Network(tiny_contract()), tiny_contract(), "")
    assert contents(folder) == before


def test_weights_are_written_without_pickle(folder):
    data = (folder / WEIGHTS).read_bytes()
    assert data == save(load_file(folder / WEIGHTS))
    assert sorted(p.name for p in folder.iterdir()) == sorted([WEIGHTS, CONTRACT, CARD])
