"""A checkpoint as one ONNX file, compared with torch before it appears.

torch has two exporters. The newer one (dynamo) writes the same LSTM operators, but unrolls their
steps on the way: the published FINs take it a minute, and their copies per channel many. The older
one, through TorchScript, takes 1 s and 7 s; it is the one used here.
"""

from __future__ import annotations

import copy
import itertools
import os
import tempfile
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from semgfin_rt import __version__
from semgfin_rt.contracts import FloatArray
from semgfin_rt.errors import CheckpointError, OptionError
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.backends import TorchBackend
from semgfin_rt.nn.checkpoint import load_checkpoint
from semgfin_rt.nn.checkpoint_folder import CONTRACT, read_capped, sha256
from semgfin_rt.nn.fin import Fin
from semgfin_rt.nn.network import Network

TOLERANCE = 1e-5
"""How far ONNX Runtime may be from torch; see `export_onnx` for the scale."""
OPSET = 18
_FORMAT = "1"  # of the names, shapes and metadata in the file
_INPUT, _OUTPUTS = "windows", ("features", "log_probabilities")
_TIMES_OWN_ROUNDING = 10
_Pair: TypeAlias = list[npt.NDArray[Any]]
"""Features, and log-probabilities."""


def export_onnx(folder: Path, out: Path) -> float:
    """Write a checkpoint as ONNX; the file appears whole or not at all.

    Input is `windows`, (batch, window, channels) float32: filtered and z-scored as the contract
    says. Outputs are those of the backends: `features`, (batch, horizons, features, channels), in
    the features' own units, and `log_probabilities`, (batch, horizons, classes). The batch is free.
    The metadata hold contract.json (``semgfin_rt.contract``), the SHA-256 of the checkpoint
    (``semgfin_rt.checkpoint_sha256``), ``semgfin_rt.version`` and ``semgfin_rt.format``.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    out : Path
        A file that ends in .onnx; an older one is replaced.

    Returns
    -------
    float
        Largest difference between ONNX Runtime on one CPU thread and torch on fixed random
        windows of standard deviation 1, 0.01 and 30, one and seven at a time. It is absolute, but
        relative where values exceed 1: a feature's is divided by its magnitude or its standard
        deviation in training, a log-probability's by the largest magnitude among the classes.

    Raises
    ------
    CheckpointError
        When `folder` is no checkpoint or has no FIN, or the difference is above 1e-5.
        Log-probabilities of a head whose large weights cancel are not that exact in float32, in
        torch neither: they may differ by ten times what torch itself differs from float64.
    OptionError
        When the extra ``[onnx]`` is not installed, or `out` cannot be written.
    """
    onnx, runtime = _require("onnx"), _require("onnxruntime")
    if out.suffix != ".onnx":
        raise OptionError(f"'{out}' is no ONNX file: give a name that ends in .onnx.")
    network, contract = load_checkpoint(folder)
    if contract.network.imitator == "closed_form":
        raise CheckpointError(
            f"{folder} computes its features instead of imitating them, which cannot be exported: "
            "give a checkpoint with a FIN."
        )
    model = _to_onnx(onnx, network, contract)
    metadata = {
        "contract": read_capped(folder / CONTRACT).decode(),
        "checkpoint_sha256": sha256(folder),
        "version": __version__,
        "format": _FORMAT,
    }
    onnx.helper.set_model_props(model, {f"semgfin_rt.{key}": v for key, v in metadata.items()})
    data: bytes = model.SerializeToString()
    difference = _compare(_start(runtime, data), network, contract)
    _write(out, data)
    return difference


def read_shapes(path: Path) -> dict[str, tuple[str | int, ...]]:
    """Shapes of the input and the outputs of an ONNX file, by name and in this order."""
    graph = _require("onnx").load(path).graph
    return {
        value.name: tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output)
    }


def _require(library: str) -> Any:
    try:
        return import_module(library)
    except ImportError as error:
        raise OptionError(
            f"the export needs {library}, which cannot be imported ({error}): run "
            "`pip install 'semgfin-rt[onnx]'`."
        ) from error


# ------------------------------------------------------------------------------- to ONNX
class _TraceableFin(nn.Module):
    """A FIN for any number of windows: in a trace, the `len` that `Fin` takes is a constant."""

    def __init__(self, fin: Fin) -> None:
        super().__init__()
        self.fin = fin

    def forward(self, signal: Tensor) -> Tensor:
        """(n, n_samples) -> (n, n_outputs)."""
        patches = signal.reshape(signal.shape[0], -1, self.fin.patch)  # (n, steps, patch)
        _, (state, _) = self.fin.lstm(self.fin.embed(patches))
        output: Tensor = self.fin.head(state[-1])
        return output


class _Decide(nn.Module):
    """From windows to all that a backend gives."""

    def __init__(self, network: Network, contract: ModelContract) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for name, module in list(self.network.named_modules()):
            if isinstance(module, Fin):
                self.network.set_submodule(name, _TraceableFin(module))
        self.n_channels = len(contract.channels)
        self.mean = nn.Buffer(torch.tensor(contract.feature_mean)[:, None])
        self.std = nn.Buffer(torch.tensor(contract.feature_std)[:, None])

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Features in their own units, and log-probabilities."""
        feature_map = self.network.imitate(windows)
        channels = feature_map[..., : self.n_channels, 0]
        logits = self.network.classify(feature_map)
        return channels * self.std + self.mean, logits.log_softmax(dim=-1)


def _to_onnx(onnx: Any, network: Network, contract: ModelContract) -> Any:
    """Trace the network into an `onnx.ModelProto`."""
    module = _Decide(network, contract).eval()
    example = torch.zeros(2, contract.window, len(contract.channels))
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad(), warnings.catch_warnings():
        # of an exporter that is to go, of Python numbers in the trace, of a fixed batch: the
        # comparison shows that none of them matters here
        warnings.simplefilter("ignore")
        path = Path(temporary) / "model.onnx"
        torch.onnx.export(
            module,
            (example,),
            path,
            input_names=[_INPUT],
            output_names=list(_OUTPUTS),
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in (_INPUT, *_OUTPUTS)},
            dynamo=False,
        )
        model = onnx.load(path)
        values = module(example)
    # the exporter leaves parts of the outputs' shapes open
    for output, value in zip(model.graph.output, values, strict=True):
        shape = ("batch", *value.shape[1:])
        output.CopyFrom(
            onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, shape)
        )
    return model


# ----------------------------------------------------------------------------- comparing
def _start(runtime: Any, data: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _compare(session: Any, network: Network, contract: ModelContract) -> float:
    """Largest difference between ONNX Runtime and torch, or why it is too large."""
    backend = TorchBackend(network, contract, torch.device("cpu"))
    std = np.asarray(contract.feature_std)[:, None]
    cases = _random_windows(contract)
    expected = [_run(backend, windows) for windows in cases]
    found = [session.run(_OUTPUTS, {_INPUT: windows}) for windows in cases]
    features, log_probabilities = _distances(expected, found, std)
    allowed = TOLERANCE
    if log_probabilities > TOLERANCE:
        exact = TorchBackend(copy.deepcopy(network).double(), contract, torch.device("cpu"))
        truth = [_run(exact, windows.astype(np.float64)) for windows in cases]
        allowed = max(TOLERANCE, _TIMES_OWN_ROUNDING * _distances(expected, truth, std)[1])
    if not (features <= TOLERANCE and log_probabilities <= allowed):  # NaN is refused as well
        raise CheckpointError(
            f"the ONNX model differs from the checkpoint by {features:.1e} in the features "
            f"(at most {TOLERANCE:.0e}) and {log_probabilities:.1e} in the log-probabilities "
            f"(at most {allowed:.0e}), so it was not written: try other versions of torch "
            f"({torch.__version__}) and onnxruntime."
        )
    return max(features, log_probabilities)


def _random_windows(contract: ModelContract) -> list[FloatArray]:
    random = np.random.default_rng(0)
    shape = contract.window, len(contract.channels)
    return [
        (deviation * random.standard_normal((n_windows, *shape))).astype(np.float32)
        for n_windows, deviation in itertools.product((1, 7), (1.0, 0.01, 30.0))
    ]


def _run(backend: TorchBackend, windows: npt.NDArray[Any]) -> _Pair:
    feature_map = backend.imitate(windows)
    return [backend.features(feature_map), backend.classify(feature_map)]


def _distances(expected: list[_Pair], found: list[_Pair], std: npt.NDArray[Any]) -> list[float]:
    """Largest of features and of log-probabilities, on the scale that `export_onnx` describes."""
    distances = []
    for one, other in zip(expected, found, strict=True):
        features, log_probabilities = (np.abs(values) for values in one)
        scales = np.maximum(features, std), log_probabilities.max(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a broken model's infinities become NaN
            distances.append(
                [
                    np.max(np.abs(a - b) / np.maximum(scale, 1.0))
                    for a, b, scale in zip(one, other, scales, strict=True)
                ]
            )
    return [float(value) for value in np.max(distances, axis=0)]


# ------------------------------------------------------------------------------- writing
def _write(out: Path, data: bytes) -> None:
    target = out.resolve()  # a symbolic link stays one
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        raise OptionError(
            f"'{out}' cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
