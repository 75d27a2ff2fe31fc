"""The ONNX file gives what the backend gives, for every topology, or it is not written."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from signals import tiny_checkpoint, tiny_contract

from semgfin_rt import __version__
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.model_contract import ModelContract, NetworkSpec
from semgfin_rt.nn.agreement import TOLERANCE
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.checkpoint_folder import CONTRACT, load_contract, sha256
from semgfin_rt.nn.export import export_onnx, read_shapes
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.onnx_backend import OPSET
from semgfin_rt.nn.reference import TorchBackend

PAPER = {"patch": 1, "layers": 3, "bidirectional": True, "trunks": 3, "k_outputs": 12}
TOPOLOGIES = {
    "realtime": {"pooled": True},
    "no means": {},
    "two layers": {"layers": 2},
    "both directions": {"bidirectional": True},
    "both directions, means": {"bidirectional": True, "pooled": True},
    "copies": {"copies": 3},
    "cnn": {"classifier": "cnn", "copies": 3},
    "paper": {**PAPER, "classifier": "cnn"},
    "paper, copies": {**PAPER, "classifier": "cnn", "copies": 3},
    "paper, mlp": {**PAPER, "classifier": "mlp"},
    "derivations": {"derivations": ("channel", "difference", "average")},
}


def checkpoint(folder: Path, **topology) -> Path:
    """Write a checkpoint in which no part of the network is left at its initial value."""
    values = tiny_contract().model_dump() | {
        "window": 100,
        "features": ("rms", "ssi", "log_wl"),
        "classifier_features": ("log_wl", "rms"),
        "feature_mean": (0.4, 600.0, -2.0),
        "feature_std": (0.9, 8000.0, 0.1),
        "ring": (2, 0, 1),
        "rotation": 1,
        "mirrored": True,
        "network": NetworkSpec(**{"patch": 20, "hidden": 8, **topology}).model_dump(),
    }
    contract = ModelContract.model_validate(values)
    torch.manual_seed(0)
    network = Network(contract)
    for name, buffer in network.classifiers.named_buffers():
        if name.endswith("mix"):
            buffer.fill_(0.3)
        elif name.endswith(("scale", "running_var")):
            buffer.uniform_(0.5, 2.0)
        elif buffer.is_floating_point():
            buffer.normal_()
    save_checkpoint(folder, network, contract, "# random weights, for a test\n")
    return folder


def outputs(path: Path, windows):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["features", "log_probabilities"], {"windows": windows})


def broken(monkeypatch, change, pattern="."):
    """Let the exporter write a network of which `change` has spoilt parameters."""
    export = torch.onnx.export

    def spoil(module, *args, **kwargs):
        for name, parameter in module.named_parameters():
            if re.search(pattern, name):
                change(parameter)
        export(module, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", spoil)


# ------------------------------------------------------------------------------- the file
@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_the_file_gives_what_the_backend_gives(tmp_path, topology):
    out = tmp_path / "model.onnx"
    folder = checkpoint(tmp_path / "model", **topology)
    assert 0 < export_onnx(folder, out) <= TOLERANCE
    backend = TorchBackend(*load_checkpoint(folder), torch.device("cpu"))
    for n_windows, deviation in ((1, 1.0), (5, 0.01), (9, 30.0)):
        noise = np.random.default_rng(n_windows).standard_normal((n_windows, 100, 3))
        windows = (deviation * noise).astype(np.float32)
        feature_map = backend.imitate(windows)
        features, log_probabilities = outputs(out, windows)
        assert features.shape == (n_windows, 2, 3, 3)
        assert log_probabilities.shape == (n_windows, 2, 3)
        scale = np.array([1.0, 8000.0, 1.0])[:, None]
        np.testing.assert_allclose(
            features / scale, backend.features(feature_map) / scale, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            log_probabilities, backend.classify(feature_map), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(
    ("topology", "directions"),
    [
        (PAPER, 3 * ["bidirectional", "bidirectional", "forward"]),  # its input is reversed
        ({"bidirectional": True, "pooled": True}, ["bidirectional"]),
    ],
)
def test_a_direction_that_nothing_reads_is_left_out(tmp_path, topology, directions):
    export_onnx(checkpoint(tmp_path / "model", **topology), tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    found = [
        next((a.s.decode() for a in node.attribute if a.name == "direction"), "forward")
        for node in nodes
        if node.op_type == "LSTM"
    ]
    assert found == directions


def test_the_file_describes_itself(tmp_path):
    folder, out = tiny_checkpoint(tmp_path / "model"), tmp_path / "model.onnx"
    export_onnx(folder, out)
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata == {
        "semgfin_rt.contract": (folder / CONTRACT).read_text(),
        "semgfin_rt.checkpoint_sha256": sha256(folder),
        "semgfin_rt.version": __version__,
        "semgfin_rt.format": "1",
    }
    contract = ModelContract.model_validate_json(metadata["semgfin_rt.contract"])
    assert contract == load_contract(folder)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert read_shapes(out) == {
        "windows": ("batch", 200, 3),
        "features": ("batch", 2, 2, 3),
        "log_probabilities": ("batch", 2, 3),
    }


def test_the_same_checkpoint_gives_the_same_file_and_no_word(tmp_path, capfd):
    folder = tiny_checkpoint(tmp_path / "model")
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    differences = [export_onnx(folder, file) for file in files]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert differences[0] == differences[1]
    assert capfd.readouterr() == ("", "")


def test_an_older_file_is_replaced_and_a_link_stays_one(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    (tmp_path / "old.onnx").write_text("old")
    (tmp_path / "link.onnx").symlink_to("old.onnx")
    export_onnx(folder, tmp_path / "link.onnx")
    assert (tmp_path / "link.onnx").is_symlink()
    onnx.checker.check_model(tmp_path / "old.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.onnx", "model", "old.onnx"]


# ------------------------------------------------------------------------- the comparison
def shifted(parameter):
    parameter.data += 1e-3


def not_finite(parameter):
    parameter.data[:] = float("nan")


@pytest.mark.parametrize("change", [shifted, not_finite])
def test_what_differs_from_torch_is_not_written(tmp_path, monkeypatch, change):
    folder, out = tiny_checkpoint(tmp_path / "model"), tmp_path / "model.onnx"
    out.write_text("older")
    broken(monkeypatch, change)
    with pytest.raises(CheckpointError, match="differs from the checkpoint by") as caught:
        export_onnx(folder, out)
    assert "\n" not in str(caught.value)
    assert out.read_text() == "older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.onnx"]


def test_a_difference_in_the_classifier_alone_is_seen(tmp_path, monkeypatch):
    folder = tiny_checkpoint(tmp_path / "model")
    broken(monkeypatch, shifted, r"classifiers\.1\.")
    with pytest.raises(CheckpointError, match=r"by \d\.\de-0[6-9] in the features"):
        export_onnx(folder, tmp_path / "model.onnx")


def test_a_difference_in_a_feature_for_display_alone_is_seen(tmp_path, monkeypatch):
    folder = checkpoint(tmp_path / "model", trunks=3)  # the classifier does not read the second
    broken(monkeypatch, shifted, r"fins\.1\.")
    with pytest.raises(CheckpointError, match=r"and \d\.\de-0[6-9] in the log-probabilities"):
        export_onnx(folder, tmp_path / "model.onnx")


def test_weights_that_cancel_are_judged_by_the_rounding_of_torch(tmp_path, monkeypatch):
    folder, out = checkpoint(tmp_path / "model"), tmp_path / "model.onnx"
    network, contract = load_checkpoint(folder)
    for classifier in network.classifiers:
        classifier.linear_weight += 1e4  # the same for every class: it cancels in the probabilities
    save_checkpoint(folder, network, contract, "")
    assert export_onnx(folder, out) > TOLERANCE
    out.unlink()
    broken(monkeypatch, lambda parameter: parameter.data.add_(0.1), "classifiers")
    with pytest.raises(CheckpointError, match=r"by \d\.\de-0[6-9] in the features"):
        export_onnx(folder, out)
    assert not out.exists()


# ------------------------------------------------------------------------------- refusals
def test_a_closed_form_is_refused(tmp_path):
    folder = checkpoint(tmp_path / "model", imitator="closed_form")
    with pytest.raises(CheckpointError, match="give a checkpoint with a FIN"):
        export_onnx(folder, tmp_path / "model.onnx")


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        export_onnx(tmp_path, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("name", ["missing/model.onnx", "file/model.onnx", "folder.onnx"])
def test_what_cannot_be_written_to(tmp_path, name):
    folder = tiny_checkpoint(tmp_path / "model")
    (tmp_path / "file").touch()
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(OptionError, match=r"cannot be written .*: name a file in a folder"):
        export_onnx(folder, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.onnx", "model"]


def test_the_name_must_be_that_of_an_onnx_file(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(OptionError, match=r"give a name that ends in \.onnx"):
        export_onnx(folder, folder / "model.safetensors")
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_full_disk_keeps_the_older_file(tmp_path, monkeypatch):
    folder, out = tiny_checkpoint(tmp_path / "model"), tmp_path / "model.onnx"
    out.write_text("older")
    write = Path.write_bytes

    def full(path, data):
        write(path, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OptionError, match="No space left on device"):
        export_onnx(folder, out)
    assert out.read_text() == "older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.onnx"]


def test_onnxscript_is_not_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    export_onnx(tiny_checkpoint(tmp_path / "model"), tmp_path / "model.onnx")
