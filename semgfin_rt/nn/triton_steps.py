"""The steps of an LSTM layer as one kernel: the weights stay in registers from first to last.

A step needs the state of the one before, so the published network is 1,800 of them in a row, each
too small to fill a GPU: what counts is the time from one to the next. One program, a single warp,
runs one row of one FIN in one direction and never leaves the multiprocessor. Only imported where
there is a CUDA device; Triton comes with torch there.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor
from triton.errors import TritonError

_HIDDEN = (8, 16, 32, 64)  # Triton's ranges are powers of two, and the weights must fit registers


def steps(gates: Tensor, weights: Tensor, first: int) -> Tensor:
    """As `semgfin_rt.nn.grouped.steps`, with `hidden` a power of two up to 64.

    Raises
    ------
    RuntimeError
        When the kernel cannot be built here.
    """
    n_fins, n_rows, n_steps, n_directions, _ = gates.shape
    hidden = weights.shape[2]
    if hidden not in _HIDDEN:
        raise RuntimeError(f"an LSTM of {hidden} units is none of {_HIDDEN}")
    states = gates.new_empty((n_fins, n_rows, n_steps, n_directions, hidden))
    programs = (n_fins * n_rows * n_directions,)
    try:
        _run[programs](
            gates, weights, states, n_rows, first, n_steps, n_directions, hidden, num_warps=1
        )
    except TritonError as error:
        raise RuntimeError(str(error)) from error
    return states


# Of an aligned table, Triton would load four weights a thread and add up the products of several
# threads in every step. Of this one, each thread takes all weights to one unit.
@triton.jit(do_not_specialize_on_alignment=["weights"])  # type: ignore[untyped-decorator]
def _run(  # type: ignore[no-untyped-def]
    gates, weights, states, n_rows, first,
    STEPS: tl.constexpr, DIRECTIONS: tl.constexpr, HIDDEN: tl.constexpr,
):  # fmt: skip
    direction = tl.program_id(0) % DIRECTIONS
    row = tl.program_id(0) // DIRECTIONS  # of all FINs
    unit = tl.arange(0, HIDDEN)
    weights += (row // n_rows * DIRECTIONS + direction) * HIDDEN * 4 * HIDDEN
    tile = unit[:, None] * 4 * HIDDEN + unit[None, :]  # (from, to)
    to_i = tl.load(weights + tile)
    to_f = tl.load(weights + tile + HIDDEN)
    to_g = tl.load(weights + tile + 2 * HIDDEN)
    to_o = tl.load(weights + tile + 3 * HIDDEN)
    backwards = first + direction == 1
    start = tl.where(backwards, STEPS - 1, 0)
    forth = tl.where(backwards, -DIRECTIONS, DIRECTIONS)
    at = (row * STEPS + start) * DIRECTIONS + direction
    state = tl.zeros((HIDDEN,), tl.float32)
    cell = tl.zeros((HIDDEN,), tl.float32)
    i = tl.load(gates + at * 4 * HIDDEN + unit)
    f = tl.load(gates + at * 4 * HIDDEN + unit + HIDDEN)
    g = tl.load(gates + at * 4 * HIDDEN + unit + 2 * HIDDEN)
    o = tl.load(gates + at * 4 * HIDDEN + unit + 3 * HIDDEN)
    for step in range(STEPS):
        # the next step's inputs are on their way while this one is computed
        more = step + 1 < STEPS
        after = gates + (at + forth) * 4 * HIDDEN + unit
        next_i = tl.load(after, mask=more, other=0.0)
        next_f = tl.load(after + HIDDEN, mask=more, other=0.0)
        next_g = tl.load(after + 2 * HIDDEN, mask=more, other=0.0)
        next_o = tl.load(after + 3 * HIDDEN, mask=more, other=0.0)
        before = state[:, None]
        i = tl.sigmoid(i + tl.sum(to_i * before, axis=0))
        f = tl.sigmoid(f + tl.sum(to_f * before, axis=0))
        g = 2 * tl.sigmoid(2 * (g + tl.sum(to_g * before, axis=0))) - 1  # tanh
        o = tl.sigmoid(o + tl.sum(to_o * before, axis=0))
        cell = f * cell + i * g
        state = o * (2 * tl.sigmoid(2 * cell) - 1)
        tl.store(states + at * HIDDEN + unit, state)
        at += forth
        i, f, g, o = next_i, next_f, next_g, next_o
