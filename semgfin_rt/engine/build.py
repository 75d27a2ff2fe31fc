"""From what the user asked for to an engine: one way for the foreground and for the window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semgfin_rt.contracts import Sink
from semgfin_rt.decision import PolicySpec
from semgfin_rt.engine.latency import LAST_60_S, LatencyMeter
from semgfin_rt.engine.loop import Engine
from semgfin_rt.engine.parts import StreamSource, Truth
from semgfin_rt.engine.recording import RunRecorder
from semgfin_rt.engine.spec import EngineSpec, choose_horizons
from semgfin_rt.errors import OptionError
from semgfin_rt.folders import graph_cache
from semgfin_rt.model_contract import ModelContract
from semgfin_rt.nn.checkpoint_folder import sha256
from semgfin_rt.nn.starting import start_backend, start_beside
from semgfin_rt.pipeline import Pipeline
from semgfin_rt.sinks.lsl import LslSink
from semgfin_rt.sinks.udp import UdpSink
from semgfin_rt.sources.supervisor import SupervisedSource
from semgfin_rt.sources.truth import TruthSource


@dataclass(frozen=True, eq=False)
class BuiltPipeline:
    """A pipeline that is warm, the stopwatch in it, and what runs its network.

    Attributes
    ----------
    pipeline : Pipeline
    meter : LatencyMeter
    backend : str
        Its name.
    notes : tuple of str
        Why other backends were passed over.
    """

    pipeline: Pipeline
    meter: LatencyMeter
    backend: str
    notes: tuple[str, ...]


def build_pipeline(
    model: Path, backend: str = "auto", policy: PolicySpec | None = None, capacity: int = LAST_60_S
) -> BuiltPipeline:
    """Load a checkpoint and make it ready to decide.

    Parameters
    ----------
    model : Path
    backend : {"auto", "onnx", "torch", "cuda"}
    policy : PolicySpec, optional
    capacity : int
        Durations that the stopwatch keeps for each stage; see `latency`.

    Raises
    ------
    CheckpointError
        If there is no valid checkpoint at `model`, or the backend cannot run it or disagrees.
    OptionError
        If the backend is not there, or the policy does not fit the checkpoint.
    """
    contract, choice = start_backend(model, backend, graph_cache())
    meter = LatencyMeter(capacity)
    return BuiltPipeline(
        Pipeline(contract, choice.backend, policy, on_stage=meter.mark, sha256=sha256(model)),
        meter,
        choice.backend.name,
        choice.notes,
    )


def build_source(spec: EngineSpec, contract: ModelContract) -> SupervisedSource:
    """Return the signal stream that `spec` asks for, not connected yet.

    Raises
    ------
    OptionError
        If it asks for none.
    """
    if spec.name is None and spec.source_id is None:
        raise OptionError("no stream was given: pass the name or the source_id of one.")
    return SupervisedSource(
        spec.name,
        spec.source_id,
        spec.unit,
        contract.channels,
        spec.resolve_s,
        reconnect=spec.truth_id is None,  # a replay is over when its player is
    )


def build_engine(
    spec: EngineSpec,
    built: BuiltPipeline,
    source: StreamSource | None = None,
    truth: Truth | None = None,
) -> Engine:
    """Put the loop around a pipeline.

    Parameters
    ----------
    spec : EngineSpec
    built : BuiltPipeline
        Of the same checkpoint.
    source : StreamSource, optional
        Instead of the stream that `spec` names.
    truth : Truth, optional
        Instead of the markers that `spec` names.

    Raises
    ------
    OptionError
        If a horizon is not in the checkpoint, or no stream is named.
    """
    contract = built.pipeline.contract
    source = build_source(spec, contract) if source is None else source
    chosen = choose_horizons(contract.horizons_ms, spec.horizons_ms)
    horizons_ms = tuple(contract.horizons_ms[i] for i in chosen)
    if spec.truth_id is not None and truth is None:
        truth = TruthSource(spec.truth_id, spec.resolve_s)
    sinks: list[Sink] = []
    if spec.publish_id is not None:
        sinks.append(LslSink(contract, spec.publish_id, horizons_ms=horizons_ms))
    if spec.udp_port is not None:
        sinks.append(UdpSink(contract, spec.udp_port))

    recorder = None
    if spec.record is not None or spec.black_box:
        settings = {"backend": built.backend, "unit": spec.unit}
        recorder = RunRecorder(source, horizons_ms, settings)

    def rebuild(model: Path) -> Pipeline:
        # The backend in use agrees and is fast here: no need to try all of them again.
        contract, choice = start_beside(model, built.backend, graph_cache())
        mark = built.meter.mark
        return Pipeline(contract, choice.backend, on_stage=mark, sha256=sha256(model))

    return Engine(
        source,
        built.pipeline,
        sinks,
        truth,
        spec.seconds,
        horizons_ms,
        spec.silence_s,
        built.meter,
        recorder,
        spec.record,
        spec.model,
        build=rebuild,
    )
