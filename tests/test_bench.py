"""Costs: of a process's own memory, and public architectures of the size that they publish."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.costs import Cost, table
from train.peers import PEERS

SMALL = "from kdphys.bench import peak_rss_mb; print(peak_rss_mb())"
LARGE = f"""
import subprocess, sys
from kdphys.bench import peak_rss_mb
held = bytearray(300 << 20)
held[::4096] = b"x" * len(held[::4096])  # pages of zeros count once they are written
print(peak_rss_mb(), flush=True)
subprocess.run([sys.executable, "-c", {SMALL!r}], check=True)
"""


def test_peak_memory_is_that_of_the_process_itself_and_not_of_its_parent():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    parent, child = map(float, done.stdout.split())
    # What is imported (numpy, ONNX Runtime) takes about 90 MB in each.
    assert 300 < parent < 600
    assert 30 < child < 250


# Parameters in millions and multiply-accumulates a frame in millions, as published or measured on
# the published code. The last is only like its model.
PUBLISHED = {
    "PhysNet": (0.769, 137.0, 0.01),
    "TS-CAN": (0.533, 51.2, 0.01),
    "EfficientPhys": (0.467, 25.9, 0.01),
    "3D like FactorizePhys": (0.052, 18.7, 0.2),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_public_architectures_have_their_published_size(peer):
    parameters, macs, tolerance = PUBLISHED[peer.name]
    network = peer.build(peer.side).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        wave = network(torch.rand(1, 3, peer.frames, peer.side, peer.side))
    assert wave.shape == (1, peer.frames)
    counted = sum(weight.numel() for weight in network.parameters())
    assert counted / 1e6 == pytest.approx(parameters, rel=tolerance)
    spent = counter.get_total_flops() / 2e6 / peer.frames
    assert spent == pytest.approx(macs, rel=tolerance)


def test_the_table_of_costs_compares_with_the_first():
    ours = Cost("ours", "36", 100_000, 1e6, 500_000, 0.5, {"1": (0.2, 0.3), "2": (0.2, 0.3)}, 90.0)
    other = Cost("other", "72", 800_000, 1e8, 3_000_000, 1.5, {"1": (4.0, 5), "2": (2.0, 3)}, 200.0)
    lines = table([ours, other])
    assert "| 1.0 |" in lines[2]
    assert "| 4.00 (5.00) | 2.00 (3.00) | 20.0 |" in lines[3]
