"""What a fake run of a transformer too large for the machine costs: seconds and memory for forward, backward and a step.

python -m tests.benchmarks.fake
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """\
import time

import torch
import torch.nn.functional as F
from torch import nn

WORDS, WIDTH, BLOCKS, HEADS = 50257, {width}, {blocks}, 64


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mix, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.rest = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        batch, time, _ = x.shape
        parts = self.mix(self.before(x)).view(batch, time, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.rest(self.between(x))


begin = time.perf_counter()
model = nn.Sequential(nn.Embedding(WORDS, WIDTH), *(Block() for _ in range(BLOCKS)), nn.Linear(WIDTH, WORDS)).to("cuda")
optimizer = torch.optim.AdamW(model.parameters())
print("parameters", sum(each.numel() for each in model.parameters()), time.perf_counter() - begin)
words = torch.randint(WORDS, (8, 2049), device="cuda")
begin = time.perf_counter()
loss = F.cross_entropy(model(words[:, :-1]).view(-1, WORDS), words[:, 1:].reshape(-1))
print("forward", loss.device, time.perf_counter() - begin)
begin = time.perf_counter()
loss.backward()
print("backward", model[0].weight.grad.device, time.perf_counter() - begin)
begin = time.perf_counter()
optimizer.step()
print("step", len(optimizer.state), time.perf_counter() - begin)
"""


class Cost(NamedTuple):
    """What a fake run took: seconds of each part, those of the whole process, and its largest memory in MB."""

    parameters: int
    parts: dict[str, float]
    seconds: float
    megabytes: float
    report: Any


def measure(width: int, blocks: int) -> Cost:
    """Trace the transformer in a process of its own, on a fake device."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SCRIPT.format(width=width, blocks=blocks), "utf-8")
        command = [
            sys.executable,
            "-m",
            "torchlint",
            "trace",
            "--device",
            "fake",
            "--output-format",
            "json",
            "train.py",
        ]
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}\n{done.stderr}")
    said = [line.split() for line in done.stderr.splitlines() if line.split()[:1]]
    parts = {words[0]: float(words[-1]) for words in said if words[0] in ("parameters", "forward", "backward", "step")}
    (parameters,) = (int(words[1]) for words in said if words[0] == "parameters")
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    return Cost(parameters, parts, seconds, memory, json.loads(done.stdout))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=8192)
    parser.add_argument("--blocks", type=int, default=72)
    given = parser.parse_args(arguments)
    cost = measure(given.width, given.blocks)
    parts = cost.parts
    print(f"{cost.parameters / 1e9:.1f} billion parameters, made in {parts['parameters']:.1f} s")
    print(f"forward {parts['forward']:.1f} s, backward {parts['backward']:.1f} s, step {parts['step']:.1f} s,", end=" ")
    print(f"together {parts['forward'] + parts['backward'] + parts['step']:.1f} s, at most 10 s")
    print(f"whole process {cost.seconds:.1f} s, {cost.megabytes:.0f} MB, at most 1000 MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
