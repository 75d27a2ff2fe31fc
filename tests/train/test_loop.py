"""A run that was killed ends with the very same weights as one that was not."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from semgfin_rt.errors import TrainingError
from semgfin_rt.train import loop
from semgfin_rt.train.loop import Group, Run, Stage, one_cycle

STEPS = 12


class KilledError(Exception):
    """In place of kill -9."""


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(0.3), nn.Linear(6, 2)
    )


def loss_of(network, step, salt):
    torch.manual_seed(1000 * salt + step)
    x = torch.randn(16, 4)
    network.train()
    return ((network(x) - x[:, :2]) ** 2).mean()


def validation_of(network):
    def validate():
        network.eval()
        with torch.no_grad():
            x = torch.linspace(-1, 1, 40).reshape(10, 4)
            return float(((network(x) - x[:, :2]) ** 2).mean())

    return validate


def stages(network, kill_at=None, save_until=None, monkeypatch=None):
    """Three stages that use everything a stage has, killed at `kill_at` = (stage, step)."""

    def loss(number):
        def one(step):
            if kill_at == (number, step):
                raise KilledError
            if save_until is not None and (number, step) >= save_until:
                monkeypatch.setattr(loop, "_SAVE_EVERY_S", math.inf)
            return loss_of(network, step, number)

        return one

    both = [Group(list(network[0].parameters()), 3e-3), Group(list(network[4].parameters()), 1e-2)]
    return [
        Stage(
            "stops early",
            STEPS,
            both,
            loss(0),
            optimizer="adam",
            weight_decay=1e-4,
            one_cycle=False,
            validate=validation_of(network),
            every=2,
            patience=2,
            min_delta=0.0,
        ),
        Stage("averages", STEPS, both, loss(1), weight_decay=1e-2, clip=0.5, average=True),
        Stage("part", STEPS, both[1:], loss(2)),
    ]


def train(file: Path, network=None, **how) -> tuple[nn.Module, Run, list[tuple[str, int]]]:
    network = network or small_network()
    told: list[tuple[str, int]] = []
    run = Run(network, file, "print", lambda name, step, _steps, _loss: told.append((name, step)))
    for stage in stages(network, **how):
        run.run(stage)
    return network, run, told


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole") / "run" / "state.safetensors")[0]


KILLS = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 5), (1, 6), (1, 7), (1, 11), (2, 0), (2, 8)]


@pytest.mark.parametrize("kill_at", KILLS)
def test_killed_and_started_again(tmp_path, monkeypatch, uninterrupted, kill_at):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)  # after every step
    file = tmp_path / "run" / "state.safetensors"
    with pytest.raises(KilledError):
        train(file, kill_at=kill_at)
    again = small_network()
    with torch.no_grad():
        again[0].weight.add_(1)  # whatever it begins with, the state decides
    network, _, told = train(file, again)
    assert_same(network, uninterrupted)
    names = ("stops early", "averages", "part")
    assert told[0] == (names[kill_at[0]], kill_at[1] + 1)  # nothing is done twice


@pytest.mark.parametrize("saved", [(0, 2), (1, 3), (1, 8), (2, 4)])
def test_killed_some_steps_after_the_last_save(tmp_path, monkeypatch, uninterrupted, saved):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    file = tmp_path / "state.safetensors"
    kill_at = (saved[0], saved[1] + 2)
    with pytest.raises(KilledError):
        train(file, kill_at=kill_at, save_until=saved, monkeypatch=monkeypatch)
    network, _, told = train(file)
    assert told[0][1] == saved[1] + 1  # steps since the last save are done again
    assert_same(network, uninterrupted)


def test_killed_several_times(tmp_path, monkeypatch, uninterrupted):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    file = tmp_path / "state.safetensors"
    for kill_at in ((0, 3), (1, 9), (2, 2), (2, 7)):
        with pytest.raises(KilledError):
            train(file, kill_at=kill_at)
    assert_same(train(file)[0], uninterrupted)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_finished_run_does_nothing_more(tmp_path, uninterrupted):
    file = tmp_path / "state.safetensors"
    _, first, _ = train(file)
    network, run, told = train(file)
    assert told == []
    assert run.seconds == first.seconds > 0
    assert_same(network, uninterrupted)


def test_notes_are_kept(tmp_path):
    network = small_network()
    file = tmp_path / "state.safetensors"
    run = Run(network, file, "print", lambda *_: None)
    run.run(stages(network)[0])
    run.notes["mixes"] = [{"0.1": 0.5}]
    run.run(stages(network)[1])
    assert Run(network, file, "print", lambda *_: None).notes == {"mixes": [{"0.1": 0.5}]}


# ------------------------------------------------------------------------- what a stage does
def one_parameter(value=1.0):
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(value)
    return network


def run_stage(tmp_path, network, **options):
    groups = [Group(list(network.parameters()), options.pop("rate", 0.1))]
    run = Run(network, tmp_path / "state.safetensors", "print", lambda *_: None)
    run.run(Stage("one", options.pop("steps", 10), groups, options.pop("loss"), **options))


def test_the_average_is_over_the_second_half(tmp_path):
    network = one_parameter()
    seen = []

    def loss(_step):
        seen.append(network.weight.item())  # the weight before each step
        return (network.weight**2).sum()

    run_stage(tmp_path, network, loss=loss, average=True, one_cycle=False)
    last = one_parameter()
    run_stage(tmp_path / "other", last, loss=lambda _: (last.weight**2).sum(), one_cycle=False)
    expected = [*seen[6:], last.weight.item()]  # after steps 6 to 10
    assert network.weight.item() == pytest.approx(sum(expected) / 5, rel=1e-6)
    assert network.weight.item() != pytest.approx(last.weight.item(), rel=1e-3)


def test_early_stopping_keeps_the_best_weights(tmp_path):
    network = one_parameter()
    losses = iter([5.0, 4.0, 4.5, 3.0, 3.1, 2.999, 3.2, 0.0])
    at = []

    def validate():
        at.append(network.weight.item())
        return next(losses)

    def loss(_step):
        return network.weight.sum()

    run_stage(tmp_path, network, loss=loss, steps=99, validate=validate, patience=3, every=2)
    assert len(at) == 7  # three without an improvement of 0.005: 3.1, 2.999, 3.2
    assert network.weight.item() == at[3]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_refused(tmp_path, value):
    network = one_parameter()

    def loss(step):
        return network.weight.sum() * (value if step == 4 else 1.0)

    with pytest.raises(TrainingError, match=f"loss of stage 'one' became {value} at step 4"):
        run_stage(tmp_path, network, loss=loss)
    assert torch.isfinite(network.weight).all()  # nothing was learnt from it


def test_groups_have_rates_of_their_own(tmp_path):
    slow, fast = one_parameter(), one_parameter()
    network = nn.ModuleList([slow, fast])
    run = Run(network, tmp_path / "state.safetensors", "print", lambda *_: None)
    groups = [Group(list(slow.parameters()), 1e-3), Group(list(fast.parameters()), 1e-2)]
    run.run(Stage("one", 1, groups, lambda _: (slow.weight + fast.weight).sum(), one_cycle=False))
    # Adam's first step is the learning rate itself
    assert 1 - slow.weight.item() == pytest.approx(1e-3, rel=1e-3)
    assert 1 - fast.weight.item() == pytest.approx(1e-2, rel=1e-3)


def test_gradients_are_clipped_together(tmp_path):
    network = one_parameter()
    grads = []
    network.weight.register_post_accumulate_grad_hook(grads.append)
    run_stage(tmp_path, network, loss=lambda _: (50 * network.weight).sum(), steps=1, clip=2.0)
    assert grads[0].grad.abs().item() == pytest.approx(2.0, rel=1e-5)


def test_one_cycle_goes_up_and_down():
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.3) == pytest.approx(1.0)
    assert one_cycle(1.0) == pytest.approx(0.0, abs=1e-12)
    values = [one_cycle(i / 100) for i in range(101)]
    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)


# ------------------------------------------------------------------------- foreign state
def test_a_foreign_fingerprint_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    train(file)
    before = file.read_bytes()
    with pytest.raises(
        TrainingError, match=r"other data, options or code: delete .* to start afresh"
    ):
        Run(small_network(), file, "another", lambda *_: None)
    assert file.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 7, 200])
def test_a_damaged_state_is_refused(tmp_path, kept):
    file = tmp_path / "state.safetensors"
    train(file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(TrainingError, match=r"cannot be read .*: delete .* to start afresh"):
        Run(small_network(), file, "print", lambda *_: None)


def test_half_a_save_leaves_the_one_before(tmp_path, uninterrupted, monkeypatch):
    """KilledError while it writes: the fresh file is torn, the old one whole."""
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    file = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        train(file, kill_at=(1, 4))
    (tmp_path / f".state.safetensors.{os.getpid()}.part").write_bytes(file.read_bytes()[:100])
    assert_same(train(file)[0], uninterrupted)
