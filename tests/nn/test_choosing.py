"""Which backend decides, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import tiny_contract

from semgfin_rt.errors import CheckpointError
from semgfin_rt.nn.backend import ASKED_AS
from semgfin_rt.nn.choosing import choose_backend
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.reference import TorchBackend, compare

CONTRACT = tiny_contract()
WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is a candidate, too")


def network(seed=0):
    torch.manual_seed(seed)
    return Network(CONTRACT)


def spoilt_export(monkeypatch):
    """Let the exporter write other weights than it was given."""
    export = torch.onnx.export

    def spoil(module, *args, **kwargs):
        for parameter in module.parameters():
            parameter.data += 1e-2
        export(module, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", spoil)


def no_export(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the graph was built again")

    monkeypatch.setattr(torch.onnx, "export", refuse)


@WITHOUT_CUDA
def test_the_fastest_decides():
    choice = choose_backend(network(), CONTRACT)
    assert set(choice.median_ms) == {"onnx cpu", "torch cpu"}
    assert choice.median_ms[choice.backend.name] == min(choice.median_ms.values()) > 0
    assert choice.notes == ()


def test_onnx_gives_what_torch_gives_one_window_at_a_time():
    ours = network()
    choice = choose_backend(ours, CONTRACT, "onnx")
    assert choice.backend.name == "onnx cpu"
    assert set(choice.median_ms) == {"onnx cpu"}
    reference = TorchBackend(ours, CONTRACT, torch.device("cpu"))
    noise = np.random.default_rng(0).standard_normal((20, 200, 3)).astype(np.float32)
    for window in noise:
        found, expected = choice.backend.imitate(window[None]), reference.imitate(window[None])
        np.testing.assert_allclose(
            choice.backend.classify(found), reference.classify(expected), atol=1e-5
        )
        np.testing.assert_allclose(
            choice.backend.features(found), reference.features(expected), rtol=1e-5, atol=1e-5
        )
    strided = np.zeros((1, 200, 6), dtype=np.float32)
    strided[:, :, ::2] = noise[:1]
    np.testing.assert_array_equal(
        choice.backend.classify(choice.backend.imitate(strided[:, :, ::2])),
        choice.backend.classify(choice.backend.imitate(noise[:1])),
    )


def test_a_backend_that_disagrees_is_refused(monkeypatch):
    spoilt_export(monkeypatch)
    with pytest.raises(CheckpointError, match=r"'onnx cpu' differs from .*: choose another"):
        choose_backend(network(), CONTRACT, "onnx")


@WITHOUT_CUDA
def test_a_backend_that_disagrees_is_passed_over(monkeypatch):
    spoilt_export(monkeypatch)
    choice = choose_backend(network(), CONTRACT)
    assert choice.backend.name == "torch cpu"
    assert set(choice.median_ms) == {"torch cpu"}
    (note,) = choice.notes
    assert note.startswith("Backend 'onnx cpu' differs")
    assert note.endswith("it was not used.")


def test_what_cannot_be_built_is_passed_over_or_refused(monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("no operator\nand more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    (note,) = choose_backend(network(), CONTRACT).notes
    assert note == "Backend 'onnx cpu' cannot run it here (no operator): it was not used."
    with pytest.raises(CheckpointError, match=r"'onnx cpu' cannot run it here \(no operator\)"):
        choose_backend(network(), CONTRACT, "onnx")


def test_features_that_are_computed_are_for_torch_alone():
    spec = CONTRACT.network.model_copy(update={"imitator": "closed_form"})
    contract = CONTRACT.model_copy(update={"network": spec})
    with pytest.raises(CheckpointError, match="choose `--backend torch`"):
        choose_backend(Network(contract), contract, "onnx")
    assert choose_backend(Network(contract), contract).backend.name.startswith("torch")


# -------------------------------------------------------------------------- kept graphs
def test_a_graph_is_built_once(tmp_path, monkeypatch):
    first = choose_backend(network(), CONTRACT, "onnx", tmp_path / "graphs" / "weights")
    no_export(monkeypatch)
    again = choose_backend(network(), CONTRACT, "onnx", tmp_path / "graphs" / "weights")
    window = np.ones((1, 200, 3), dtype=np.float32)
    np.testing.assert_array_equal(
        first.backend.classify(first.backend.imitate(window)),
        again.backend.classify(again.backend.imitate(window)),
    )


@pytest.mark.parametrize("how", ["cut", "other weights", "other channels"])
def test_a_graph_that_is_not_ours_is_built_anew(tmp_path, how):
    kept = tmp_path / "weights"
    choose_backend(network(), CONTRACT, "onnx", kept)
    ours = kept.read_bytes()
    if how == "cut":
        kept.write_bytes(ours[:-100])
    else:
        contract = CONTRACT
        if how == "other channels":
            two = {"channels": ("a", "b"), "scale_mean": (0.0,) * 2, "scale_std": (1.0,) * 2}
            contract = CONTRACT.model_copy(update=two)
        torch.manual_seed(1)
        choose_backend(Network(contract), contract, "onnx", tmp_path / "other")
        kept.write_bytes((tmp_path / "other").read_bytes())
    choice = choose_backend(network(), CONTRACT, "onnx", kept)
    assert compare(choice.backend, network(), CONTRACT).agrees
    assert kept.read_bytes() == ours


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("no folder")
    choice = choose_backend(network(), CONTRACT, "onnx", tmp_path / "file" / "weights")
    assert choice.backend.name == "onnx cpu"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_or_is_refused():
    assert ASKED_AS[choose_backend(network(), CONTRACT, "cuda").backend.name] == "cuda"
