"""All FINs of a network at once: what a GPU needs, on which one LSTM step after another is slow.

The weights of the FINs are stacked, so that a layer is two batched products for all of them, all
windows and all signals: the inputs' share of the gates for every step at once, then the steps. The
direction of the last layer that nothing reads is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from semgfin_rt.nn.fin import FeatureImitator, Fin

Recurrence = Callable[[Tensor, Tensor, int], Tensor]
"""(gates, weights, first) -> states; see `steps`."""


def steps(gates: Tensor, weights: Tensor, first: int) -> Tensor:
    """Run the steps of a layer, in torch.

    Parameters
    ----------
    gates : (n_fins, n_rows, n_steps, n_directions, 4 * hidden)
        What the inputs and biases give to the input, forget, cell and output gate.
    weights : (n_fins, n_directions, hidden, 4 * hidden)
        From the state before, transposed.
    first : {0, 1}
        Direction 0 of these is the LSTM's forward (0) or reverse one (1, then the only one).

    Returns
    -------
    (n_fins, n_rows, n_steps, n_directions, hidden)
        The reverse direction's in the order of time, too: its final state is that of step 0.
    """
    found = []
    for direction, of_direction in enumerate(gates.unbind(dim=3)):
        in_time = of_direction.unbind(dim=2)  # (n_fins, n_rows, 4 * hidden) each
        backwards = first + direction == 1
        states = []
        state = cell = torch.zeros_like(in_time[0][..., : weights.shape[2]])
        for gate in reversed(in_time) if backwards else in_time:
            i, f, g, o = torch.baddbmm(gate, state, weights[:, direction]).chunk(4, dim=-1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
            states.append(state)
        found.append(torch.stack(states[::-1] if backwards else states, dim=2))
    return torch.stack(found, dim=3)


class GroupedImitator(nn.Module):
    """`FeatureImitator` with all its FINs side by side.

    Parameters
    ----------
    imitator : FeatureImitator
        Whose weights are copied.
    recurrence : callable
        Runs the steps.
    """

    def __init__(self, imitator: FeatureImitator, recurrence: Recurrence = steps) -> None:
        super().__init__()
        self.copies, self.shape, self.recurrence = imitator.copies, imitator.shape, recurrence
        fins: list[Fin] = list(imitator.fins)  # type: ignore[arg-type]
        one, self.n_fins = fins[0], len(fins)
        self.patch, self.pooled, self.hidden = one.patch, one.pooled, one.lstm.hidden_size
        self.embedded = one.patch > 1
        if self.embedded:
            self._stack_linear("embed", [fin.embed[0] for fin in fins])  # type: ignore[index]
        self._stack_linear("head", [fin.head for fin in fins])
        directions = 2 if one.lstm.bidirectional else 1
        self.first = [0] * one.lstm.num_layers
        if directions == 2 and not one.pooled:
            self.first[-1] = 1  # only the reverse final state is read
        for layer, first in enumerate(self.first):
            names = [f"l{layer}" + "_reverse" * d for d in range(first, directions)]

            def stacked(kind: str, names: list[str] = names) -> Tensor:
                """(n_fins, n_directions, ...) of that weight or bias."""
                return torch.stack(
                    [torch.stack([getattr(f.lstm, f"{kind}_{n}") for n in names]) for f in fins]
                )

            # (n_fins, n_inputs, n_directions * 4 * hidden)
            self._keep(f"inputs{layer}", stacked("weight_ih").flatten(1, 2).transpose(1, 2))
            self._keep(f"states{layer}", stacked("weight_hh").transpose(2, 3))
            biases = stacked("bias_ih") + stacked("bias_hh")
            self._keep(f"biases{layer}", biases.flatten(1)[:, None])

    def _stack_linear(self, name: str, layers: list[nn.Linear]) -> None:
        self._keep(f"{name}_weight", torch.stack([layer.weight.T for layer in layers]))
        self._keep(f"{name}_bias", torch.stack([layer.bias for layer in layers])[:, None])

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.detach().clone(memory_format=torch.contiguous_format))

    def _linear(self, name: str, values: Tensor) -> Tensor:
        return torch.baddbmm(getattr(self, f"{name}_bias"), values, getattr(self, f"{name}_weight"))

    def forward(self, windows: Tensor) -> Tensor:
        """As `FeatureImitator`."""
        n_windows, n_samples, n_signals = windows.shape
        n_steps = n_samples // self.patch
        n_fins = self.n_fins
        rows = windows.transpose(1, 2).reshape(n_windows, self.copies, -1, n_steps, self.patch)
        rows = rows.transpose(0, 1).flatten(1, 2)  # (copies, n_rows, n_steps, patch)
        n_rows = rows.shape[1]
        read = rows.repeat(n_fins // self.copies, 1, 1, 1).flatten(1, 2)
        if self.embedded:
            read = nn.functional.gelu(self._linear("embed", read))
        embedded = read  # (n_fins, n_rows * n_steps, n_inputs)
        for layer, first in enumerate(self.first):
            gates = torch.baddbmm(
                getattr(self, f"biases{layer}"), read, getattr(self, f"inputs{layer}")
            ).reshape(n_fins, n_rows, n_steps, -1, 4 * self.hidden)
            states = self.recurrence(gates, getattr(self, f"states{layer}"), first)
            read = states.flatten(3).flatten(1, 2)
        reverse = self.first[-1] + states.shape[3] == 2
        final = states[:, :, 0 if reverse else -1, -1]  # (n_fins, n_rows, hidden)
        if self.pooled:
            by_row = embedded.reshape(n_fins, n_rows, n_steps, -1)
            means = states.flatten(3).mean(dim=2), by_row.mean(dim=2)
            final = torch.cat([final, *means], dim=2)
        outputs = self._linear("head", final)  # (n_fins, n_rows, n_outputs)
        outputs = outputs.reshape(-1, self.copies, n_windows, n_signals // self.copies, *self.shape)
        # trunk, copy, window, signal, horizon, feature, k -> window, horizon, feature, signal, k
        return outputs.permute(2, 4, 0, 5, 1, 3, 6).flatten(4, 5).flatten(2, 3)
