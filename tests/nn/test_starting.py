"""A second start needs no torch, and trusts nothing that it was not told by the first."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from signals import tiny_checkpoint

from semgfin_rt.errors import OptionError
from semgfin_rt.nn import starting
from semgfin_rt.nn.kept import keep, kept_file, read
from semgfin_rt.nn.starting import start_backend


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A checkpoint, on a machine that has no GPU."""
    monkeypatch.setattr(starting, "_may_have_gpu", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # for other processes
    return tiny_checkpoint(tmp_path / "model")


def in_a_process(model, start="start_backend(model, 'auto', cache)"):
    """Start in another process; return what it printed: the backend, and whether torch is there."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from semgfin_rt.nn import starting\n"
        "from semgfin_rt.nn.starting import start_backend, start_beside\n"
        "model = Path(sys.argv[1])\ncache = model.with_name('cache')\n"
        "starting._may_have_gpu = lambda: False\n"
        f"contract, choice = {start}\n"
        "print(choice.backend.name, 'torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(model)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def start(model, wanted="auto"):
    return start_backend(model, wanted, model.with_name("cache"))


def file_of(model):
    return kept_file(model, model.with_name("cache"))


def decide(choice):
    window = np.ones((1, 200, 3), dtype=np.float32)
    feature_map = choice.backend.imitate(window)
    return choice.backend.classify(feature_map), choice.backend.features(feature_map)


def test_only_the_first_start_loads_torch(model):
    assert in_a_process(model) == ["onnx", "cpu", "True"]
    assert in_a_process(model) == ["onnx", "cpu", "False"]


def test_both_starts_decide_alike(model):
    contract, first = start(model)
    again, second = start(model)
    assert contract == again
    assert set(first.median_ms) > set(second.median_ms) == {"onnx cpu"}
    for one, other in zip(decide(first), decide(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_weights_are_another_start(model, tmp_path):
    start(model)
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    assert file_of(other) != file_of(model)
    assert set(start(other)[1].median_ms) == {"onnx cpu", "torch cpu"}


def test_a_graph_that_does_not_answer_as_expected_is_not_used(model):
    start(model)
    kept = read(file_of(model))
    off = [(features + 1e-3, decided) for features, decided in kept.expected]
    keep(file_of(model), replace(kept, expected=off))
    _, choice = start(model)
    assert set(choice.median_ms) == {"onnx cpu", "torch cpu"}  # chosen anew
    _, choice = start(model)
    assert set(choice.median_ms) == {"onnx cpu"}  # and the answers are the right ones now


def test_a_graph_that_cannot_be_run_is_built_anew(model):
    start(model)
    file = file_of(model)
    sound = file.read_bytes()
    keep(file, replace(read(file), graph=b"no graph"))
    start(model)
    assert file.read_bytes() == sound


@pytest.mark.parametrize("damage", [b"", b"short", bytes(200)])
def test_a_damaged_file_is_as_none(model, damage):
    start(model)
    file = file_of(model)
    file.write_bytes(damage)
    assert read(file) is None
    start(model)
    assert read(file).fastest


def test_the_fastest_is_not_known_from_a_start_that_did_not_ask(model):
    start(model, "onnx")
    assert not read(file_of(model)).fastest
    assert set(start(model)[1].median_ms) == {"onnx cpu", "torch cpu"}
    assert read(file_of(model)).fastest


def test_where_a_gpu_may_be_it_is_measured_again(model, monkeypatch):
    start(model)
    monkeypatch.setattr(starting, "_may_have_gpu", lambda: True)
    assert len(start(model)[1].median_ms) > 1
    assert set(start(model, "onnx")[1].median_ms) == {"onnx cpu"}


def test_torch_is_taken_where_it_is_wanted(model):
    start(model)
    assert start(model, "torch")[1].backend.name == "torch cpu"


def test_a_process_that_decides_lets_a_child_load_torch(model):
    assert in_a_process(model, "start_beside(model, 'onnx cpu', cache)")[-1] == "False"
    assert read(file_of(model)) is not None


def test_what_the_child_refuses_is_refused_without_torch(model):
    (model / "model.safetensors").write_bytes(b"nothing")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from semgfin_rt.errors import CheckpointError\n"
        "from semgfin_rt.nn.starting import start_beside\n"
        "model = Path(sys.argv[1])\n"
        "try:\n    start_beside(model, 'onnx cpu', model.with_name('cache'))\n"
        "except CheckpointError as error:\n    print(error, 'torch' in sys.modules)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code, str(model)], text=True)
    assert "model.safetensors is not a safetensors file" in said
    assert said.endswith(" False\n")


def test_what_was_kept_of_another_checkpoint_is_not_taken(model, tmp_path):
    """Of the same shapes, so that it agrees with its own answers."""
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    _, right = start(model)
    start(other)
    file_of(model).write_bytes(file_of(other).read_bytes())
    assert read(file_of(model)) is None
    for one, two in zip(decide(start(model)[1]), decide(right), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_an_older_version_kept_is_removed(model):
    start(model)
    file = file_of(model)
    older = file.with_name(file.name.partition("-")[0] + "-older")
    another = file.with_name("another-checkpoint")
    for path in (older, another):
        path.write_bytes(b"x")
    file.unlink()
    start(model)
    assert {path.name for path in file.parent.iterdir()} == {file.name, another.name}


def test_a_graph_with_the_direction_that_nothing_reads_is_built_anew(model, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("semgfin_rt.nn.kept._LAYOUT", 1)
        start(model)
        older = file_of(model)
    assert set(start(model)[1].median_ms) == {"onnx cpu", "torch cpu"}
    assert file_of(model).exists()
    assert not older.exists()


def test_a_backend_that_is_not_known(model):
    with pytest.raises(OptionError, match="'tpu' is not known"):
        start(model, "tpu")
