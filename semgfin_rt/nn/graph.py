"""The network as an ONNX graph.

torch has two exporters. The newer one (dynamo) writes the same LSTM operators, but unrolls their
steps on the way: the published FINs take it a minute, and their copies per channel many. The older
one, through TorchScript, takes 1 s and 7 s; it is the one used here.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.fin import Fin
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.onnx_backend import INPUT, OPSET, OUTPUTS


class Decide(nn.Module):
    """From windows to all that a backend gives."""

    def __init__(self, network: Network, contract: ModelContract) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu()
        self.n_channels = len(contract.channels)
        self.mean = nn.Buffer(torch.tensor(contract.feature_mean)[:, None])
        self.std = nn.Buffer(torch.tensor(contract.feature_std)[:, None])

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Features in their own units, and log-probabilities."""
        feature_map = self.network.imitate(windows)
        channels = feature_map[..., : self.n_channels, 0]
        logits = self.network.classify(feature_map)
        return channels * self.std + self.mean, logits.log_softmax(dim=-1)


class LastReversed(nn.Module):
    """A bidirectional LSTM without the forward direction of its last layer.

    Parameters
    ----------
    lstm : nn.LSTM
        Of a FIN that reads the reverse final state alone; its weights are taken over.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for number in range(lstm.num_layers):
            last = number == lstm.num_layers - 1
            kept = f"_l{number}" + "_reverse" * last
            weights = {
                name.replace(kept, "_l0"): weight
                for name, weight in lstm.state_dict().items()
                if kept in name
            }
            n_inputs = weights["weight_ih_l0"].shape[1]
            # "meta": with no weights of its own
            layer = nn.LSTM(
                n_inputs, lstm.hidden_size, batch_first=True, bidirectional=not last, device="meta"
            )
            layer.load_state_dict(weights, assign=True)
            self.layers.append(layer)

    def forward(self, signal: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `nn.LSTM`, but of the last layer backwards in time."""
        *before, last = self.layers
        for layer in before:
            signal, _ = layer(signal)
        found: tuple[Tensor, tuple[Tensor, Tensor]] = last(signal.flip(1))
        return found


def can_be_graph(contract: ModelContract) -> bool:
    """Whether ONNX has all that the network does: closed-form features need an FFT of torch."""
    return contract.network.imitator == "fin"


def onnx_model(network: Network, contract: ModelContract) -> Any:
    """Trace a network with a FIN into an `onnx.ModelProto`.

    Input is `windows`, (batch, window, channels) float32: filtered and z-scored as the contract
    says. Outputs are those of the backends: `features`, (batch, horizons, features, channels), in
    the features' own units, and `log_probabilities`, (batch, horizons, classes). The batch is free.
    The direction of the last layer that nothing reads is left out.
    """
    module = Decide(network, contract).eval()
    for fin in module.modules():
        if isinstance(fin, Fin) and fin.lstm.bidirectional and not fin.pooled:
            fin.lstm = LastReversed(fin.lstm)  # type: ignore[assignment]  # it stands in for it
    example = torch.zeros(2, contract.window, len(contract.channels))
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad(), warnings.catch_warnings():
        # of an exporter that is to go, of Python numbers in the trace, of a fixed batch: the
        # comparison (`agreement`) shows that none of them matters here
        warnings.simplefilter("ignore")
        path = Path(temporary) / "model.onnx"
        torch.onnx.export(
            module,
            (example,),
            path,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *OUTPUTS)},
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
