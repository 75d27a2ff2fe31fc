"""Topology of the FINs: the published one, and the patches of `realtime`."""

from __future__ import annotations

import pytest
import torch
from signals import tiny_contract
from torch import nn

from semgfin_rt.features import PAPER_FEATURES, RICH_FEATURES, closed_form
from semgfin_rt.model_contract import ModelContract, NetworkSpec
from semgfin_rt.nn import fin
from semgfin_rt.nn.checkpoint import load_checkpoint, save_checkpoint
from semgfin_rt.nn.fin import ClosedForm, FeatureImitator, Fin
from semgfin_rt.nn.network import Network
from semgfin_rt.nn.presets import PRESETS

PUBLISHED = PRESETS["paper"].network(20, 4, 12)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_published_fin_has_the_published_size():
    fin = Fin(PUBLISHED, 12)
    lstm = nn.LSTM(1, 32, num_layers=3, bidirectional=True)
    assert n_parameters(fin) == n_parameters(lstm) + n_parameters(nn.Linear(32, 12))
    assert sorted(p.shape for p in fin.lstm.parameters()) == sorted(
        p.shape for p in lstm.parameters()
    )


def test_the_published_model_has_four_times_twelve_of_them():
    imitator = FeatureImitator(PUBLISHED, 4, 1)
    assert len(imitator.fins) == 48
    out = imitator(torch.randn(2, 60, 12))
    assert out.shape == (2, 1, 4, 12, 12)  # features, channels, 1 real and 11 shadow outputs


def test_the_published_fin_is_plain_torch():
    torch.manual_seed(0)
    fin = Fin(PUBLISHED, 12)
    x = torch.randn(5, 60)
    outputs, _ = fin.lstm(x[:, :, None])
    # the reverse direction has read the whole window when it is at the first sample
    torch.testing.assert_close(fin(x), fin.head(outputs[:, 0, 32:]))


@pytest.mark.parametrize(("suffix", "matters"), [("", False), ("_reverse", True)])
def test_only_the_reverse_state_of_the_last_layer_is_read(suffix, matters):
    torch.manual_seed(0)
    fin = Fin(PUBLISHED, 12)
    x = torch.randn(5, 60)
    before = fin(x)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(fin.lstm, f"{name}_l2{suffix}").add_(0.3)
    assert torch.equal(fin(x), before) is not matters


@pytest.mark.parametrize("layers", [1, 2])
def test_a_patch_is_one_step(layers):
    spec = NetworkSpec(patch=20, hidden=8, layers=layers)
    fin = Fin(spec, 5)
    x = torch.randn(3, 600)
    steps = []
    fin.lstm.register_forward_hook(lambda _m, inputs, _out: steps.append(inputs[0].shape))
    assert fin(x).shape == (3, 5)
    assert steps == [(3, 30, 8)]
    # samples of one patch go in side by side, in their order
    patches = torch.stack([x[:, i : i + 20] for i in range(0, 600, 20)], dim=1)
    states, _ = fin.lstm(fin.embed(patches))
    torch.testing.assert_close(fin(x), fin.head(states[:, -1]))


@pytest.mark.parametrize("trunks", [1, 2, 6])
@pytest.mark.parametrize("copies", [1, 4])
def test_each_output_is_that_of_its_own_fin(trunks, copies):
    torch.manual_seed(0)
    spec = NetworkSpec(patch=5, hidden=6, trunks=trunks, copies=copies, k_outputs=3)
    imitator = FeatureImitator(spec, 6, 2)
    assert len(imitator.fins) == trunks * copies
    windows = torch.randn(7, 40, 4)
    out = imitator(windows)
    assert out.shape == (7, 2, 6, 4, 3)  # horizons, features, channels, outputs
    per_trunk = 6 // trunks
    for trunk in range(trunks):
        for channel in range(4):
            fin = imitator.fins[trunk * copies + channel % copies]
            expected = fin(windows[:, :, channel]).reshape(7, 2, per_trunk, 3)
            features = slice(trunk * per_trunk, (trunk + 1) * per_trunk)
            torch.testing.assert_close(out[:, :, features, channel], expected)


def test_copies_differ_and_shared_weights_do_not():
    torch.manual_seed(0)
    same = torch.randn(3, 40, 1).expand(-1, -1, 4)
    shared = FeatureImitator(NetworkSpec(patch=5, hidden=6), 2, 1)(same)
    copied = FeatureImitator(NetworkSpec(patch=5, hidden=6, copies=4), 2, 1)(same)
    torch.testing.assert_close(shared[:, :, :, 0], shared[:, :, :, 3])
    assert not torch.allclose(copied[:, :, :, 0], copied[:, :, :, 3])


def test_a_channel_sees_no_other_channel():
    torch.manual_seed(0)
    imitator = FeatureImitator(NetworkSpec(patch=5, hidden=6, copies=4), 2, 1)
    windows = torch.randn(3, 40, 4)
    other = windows.clone()
    other[:, :, 2] += 1
    changed = (imitator(windows) != imitator(other)).any(dim=-1).flatten(0, 2).any(dim=0)
    assert changed.tolist() == [False, False, True, False]


def closed_form_contract(k_outputs=1):
    names = (*RICH_FEATURES, *PAPER_FEATURES[:3])
    spec = {"patch": 20, "imitator": "closed_form", "derivations": ("channel", "average")}
    return ModelContract.model_validate(
        tiny_contract((0, 50, 100)).model_dump()
        | {
            "features": names,
            "classifier_features": RICH_FEATURES,
            "feature_mean": tuple(0.1 * i for i in range(11)),
            "feature_std": tuple(1.0 + i for i in range(11)),
            "network": {**spec, "k_outputs": k_outputs},
        }
    )


@pytest.mark.parametrize("k_outputs", [1, 12])
def test_the_closed_form_in_the_place_of_the_fin(k_outputs):
    contract = closed_form_contract(k_outputs)
    network = Network(contract)
    assert isinstance(network.imitator, ClosedForm)
    assert not list(network.imitator.parameters())
    windows = torch.randn(4, 200, 3)
    derived = torch.cat([windows, windows - windows.mean(2, keepdim=True)], dim=2)
    mean, std = (torch.tensor(v)[:, None] for v in (contract.feature_mean, contract.feature_std))
    expected = (closed_form(derived, contract.features) - mean) / std
    found = network.imitate(windows)
    assert found.shape == (4, 3, 11, 6, k_outputs)
    for h in range(3):  # of a later window nothing is known but the present one
        for k in range(k_outputs):
            torch.testing.assert_close(found[:, h, ..., k], expected, atol=1e-4, rtol=1e-4)
    assert network(windows).shape == (4, 3, 3)


def test_a_closed_form_checkpoint_comes_back(tmp_path):
    contract = closed_form_contract()
    network = Network(contract).eval()
    save_checkpoint(tmp_path / "model", network, contract, "")
    loaded, read = load_checkpoint(tmp_path / "model")
    assert read == contract
    windows = torch.randn(4, 200, 3)
    assert torch.equal(loaded(windows), network(windows))


@pytest.mark.parametrize(
    ("n_beside", "most_steps", "parts"),
    [(1, 24, 4), (2, 100, 1)],  # two rows at a time; all seven, while another FIN waits
)
def test_parts_that_save_memory_change_no_gradient(monkeypatch, n_beside, most_steps, parts):
    torch.manual_seed(0)
    spec = NetworkSpec(patch=1, layers=2, bidirectional=True, hidden=4)
    network = Fin(spec, 3, n_beside).double()
    saved = []
    checkpoint = fin.checkpoint

    def counted(*args, **kwargs):
        saved.append(1)
        return checkpoint(*args, **kwargs)

    monkeypatch.setattr(fin, "checkpoint", counted)
    signal = torch.randn(7, 12, dtype=torch.float64)

    def gradients():
        network.zero_grad()
        network(signal).square().sum().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    whole = gradients()
    assert not saved
    monkeypatch.setattr(fin, "MOST_STEPS", most_steps)
    for one, other in zip(whole, gradients(), strict=True):
        torch.testing.assert_close(one, other)
    assert len(saved) == parts


@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooled_outputs_read_means_over_the_window(bidirectional):
    spec = NetworkSpec(patch=5, hidden=4, pooled=True, bidirectional=bidirectional)
    torch.manual_seed(0)
    fin = Fin(spec, 3)
    states = 8 if bidirectional else 4
    assert fin.head.in_features == 4 + states + 4
    with torch.no_grad():
        fin.head.weight[:, : 4 + states] = 0  # of the patches' mean alone
    patches = torch.randn(2, 6, 5)
    moved = patches[:, [3, 5, 0, 1, 4, 2]]
    assert torch.allclose(fin(patches.flatten(1)), fin(moved.flatten(1)), atol=1e-6)
    nn.init.normal_(fin.head.weight)
    assert not torch.allclose(fin(patches.flatten(1)), fin(moved.flatten(1)), atol=1e-3)


def test_a_contract_from_before_pooling_has_none():
    assert not NetworkSpec.model_validate({"patch": 20}).pooled
    assert PRESETS["realtime"].network(20, 8, 1).pooled
    assert not PUBLISHED.pooled
