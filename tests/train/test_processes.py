"""FIN pre-training in two processes gives the weights of one; what does not fit is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from subjects import SMOKE, options, quiet, small_subject, weights

from semgfin_rt.errors import OptionError
from semgfin_rt.nn.checkpoint_folder import load_contract
from semgfin_rt.train import processes
from semgfin_rt.train.fit import fit

CPU = torch.device("cpu")
# Fabric starts the second process with the same command line, so this is a file of its own.
_SCRIPT = """
import sys, warnings
warnings.simplefilter("error")
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
import torch
from subjects import options, small_subject
from semgfin_rt.train import loop
from semgfin_rt.train.fit import fit
torch.set_num_threads(1)
stop_at = int(sys.argv[3])
told = []
def progress(*step):
    told.append(step)
    if len(told) == stop_at:
        sys.stdout.flush()
        __import__("os")._exit(9)
loop._SAVE_EVERY_S = -1.0
contract = fit(map(small_subject, (1, 2)), Path(sys.argv[2]), options(devices=2), progress)
print(len(contract.history), len(told), told[:1], flush=True)
"""

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processor cores")


def run_two(folder: Path, out: Path, stop_at: int = 0) -> subprocess.CompletedProcess[str]:
    script = folder / "two.py"
    script.write_text(_SCRIPT)
    path = ":".join([str(Path(__file__).parent), *sys.path])
    # nothing of an outer job: Fabric reads its place from the environment
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    return subprocess.run(
        [sys.executable, script, path, out, str(stop_at)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.long
def test_two_processes_give_the_weights_of_one(tmp_path):
    fit(map(small_subject, (1, 2)), tmp_path / "one", SMOKE, quiet)
    done = run_two(tmp_path, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    # the second process is told nothing, and ends with the FIN
    first, second = sorted(done.stdout.splitlines(), reverse=True)
    assert first.startswith("1 ")
    assert second == "0 0 []"
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    trained = [name for name in one if name.startswith("imitator.")]
    assert trained
    for name in trained:
        torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=0)
    ours, theirs = (load_contract(tmp_path / name).history[0] for name in ("one", "two"))
    assert ours.steps == theirs.steps
    assert ours.data_sha256 == theirs.data_sha256
    assert not (tmp_path / "two.resume").exists()


@pytest.mark.long
def test_two_processes_go_on_where_they_were(tmp_path):
    died = run_two(tmp_path, tmp_path / "two", stop_at=7)
    assert died.returncode == 9, died.stderr
    assert not (tmp_path / "two").exists()
    done = run_two(tmp_path, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert "('FIN', 7," in done.stdout  # saved after six steps
    run_two(tmp_path, tmp_path / "whole")
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=0)


def test_a_share_is_a_share():
    """What each of three processes would run, put together, is every window once."""
    rows = [processes.share_of(8, 3, rank).tolist() for rank in range(3)]
    assert rows == [[0, 3, 6], [1, 4, 7], [2, 5, 0]]
    assert processes.share_of(2, 3, 2).tolist() == [0]


# ---------------------------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"devices": 1000}, r"--devices 1000 is more than the \d+ processor cores"),
        ({"precision": "bf16-mixed"}, "bf16-mixed gains nothing on a CPU"),
        ({"nodes": 2}, "needs a job on so many nodes: start it with `srun --nodes 2"),
    ],
)
def test_what_this_machine_lacks_is_refused(tmp_path, changes, said):
    with pytest.raises(OptionError, match=said):
        fit([small_subject()], tmp_path / "model", options(**changes), quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"SLURM_NTASKS": "4"}, "--ntasks-per-node=4"),
        ({"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"}, r"do not fit the job: .*devices=4"),
        (
            {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "3"},
            r"do not fit the job: .*num_nodes=3",
        ),
    ],
)
def test_a_slurm_job_of_other_numbers_is_refused(monkeypatch, job, said):
    place = {"SLURM_JOB_NAME": "fit", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in (place | {"SLURM_NODEID": "0"} | job).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=said):
        processes.make_fabric(options(devices=2), CPU)


def test_one_process_of_a_slurm_job_of_many_trains_alone(monkeypatch):
    """As a task of a grid does, whatever the job's other tasks are."""
    monkeypatch.setenv("SLURM_JOB_NAME", "grid")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "3")
    fabric = processes.make_fabric(SMOKE, CPU)
    assert fabric.is_global_zero
    assert fabric.world_size == 1


def test_output_of_one_process_is_left_alone(capsys):
    with processes.one_voice(SMOKE):
        print("heard")  # noqa: T201
    assert capsys.readouterr().out == "heard\n"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_bf16_on_cuda(tmp_path):
    half = options(device="cuda", precision="bf16-mixed")
    contract = fit([small_subject()], tmp_path / "model", half, quiet)
    assert contract.history[0].steps
    assert all(torch.isfinite(t).all() for t in weights(tmp_path / "model").values())
    with pytest.raises(OptionError, match=r"--devices 1000 is more than the \d+ CUDA devices"):
        processes.make_fabric(options(device="cuda", devices=1000), torch.device("cuda"))
