"""A dry run leaves nothing behind, and the program finds what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trace.conftest import Run

WRITES = """\
import csv, glob, json, logging, os, pathlib, shutil
import numpy as np
import torch
from torch import nn
{imports}
logging.basicConfig(filename="run.log", level="INFO")
here = pathlib.Path("out") / "run1"
if here.exists():
    raise SystemExit("there already")
here.mkdir(parents=True, exist_ok=True)
os.makedirs("out/run2")
shutil.rmtree("old")
assert not os.path.exists("old") and not os.path.exists("old/best.pt")
os.mkdir("old")
assert os.listdir("old") == []
os.remove("notes.txt")
assert sorted(os.listdir(".")) == ["data.json", "link", "old", "out", "run.log", "train.py"], os.listdir(".")
model = nn.Linear(4, 1)
logging.info("a line")
torch.save(model.state_dict(), here / "best.pt")
torch.save(model.state_dict(), "last.pt.tmp")
os.replace("last.pt.tmp", "last.pt")
assert not os.path.exists("last.pt.tmp")
for name in (here / "best.pt", "last.pt"):
    assert torch.equal(torch.load(name)["weight"], model.weight)
assert torch.load("last.pt", mmap=True)["bias"].shape == (1,)
assert [path.name for path in here.glob("*.pt")] == glob.glob("*.pt", root_dir="out/run1") == ["best.pt"]
assert sorted((top, *files) for top, _, files in os.walk("out")) == [("out",), ("out/run1", "best.pt"), ("out/run2",)]
data = json.load(open("data.json"))
with open("data.json", "a") as file:
    file.write("  ")
assert open("data.json").read() == '{{"a": 1}}  '
json.dump({{"a": 2}}, open("data.json", "w"))
assert json.loads(pathlib.Path("data.json").read_text()) == {{"a": 2}}
np.save("x.npy", np.arange(3))
np.savez("y.npz", a=np.arange(3))
assert np.load("x.npy").sum() == np.load("y.npz")["a"].sum() == 3
np.arange(3.0).tofile("z.bin")
assert np.fromfile("z.bin").sum() == 3
with open("link/through.txt", "w") as file:
    file.write("x")
assert os.path.getsize("link/through.txt") == 1
try:
    open("nowhere/file.txt", "w")
except FileNotFoundError as error:
    assert error.filename == "nowhere/file.txt", error
else:
    raise AssertionError("a folder that is missing is missing")
try:
    open("absent.txt")
except FileNotFoundError as error:
    assert error.filename == "absent.txt", error
with open("data.csv", "x", newline="") as file:
    csv.writer(file).writerow([1, 2])
{extra}
import helper
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(2):
    nn.MSELoss()(model(torch.randn(8, 4)), torch.zeros(8, 1)).backward()
    optimizer.step()
print("through")
"""


def listing(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All that lies in a folder: contents and times."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not (path.name in (".torchlint", "work") or path.parent.name == ".torchlint")
    }


def prepare(folder: Path, script: str) -> None:
    """A working folder with a link to another one."""
    (folder / "elsewhere").mkdir()
    (folder / "work" / "old").mkdir(parents=True)
    (folder / "work" / "link").symlink_to(folder / "elsewhere")
    (folder / "work" / "train.py").write_text(script, "utf-8")
    (folder / "elsewhere" / "helper.py").write_text("")
    (folder / "work" / "data.json").write_text('{"a": 1}')
    (folder / "work" / "notes.txt").write_text("mine")
    (folder / "work" / "old" / "best.pt").write_text("precious")


SAFETENSORS = """
from safetensors.torch import load_file, save_file
save_file({"weight": model.weight.detach()}, "m.safetensors")
assert torch.equal(load_file("m.safetensors")["weight"], model.weight)
"""

OTHERS = """
import sqlite3
import tempfile
import numpy as np
from torch.profiler import profile
np.savetxt("table.txt", np.ones(3))
np.memmap("map.bin", dtype="float32", mode="w+", shape=(4,))[:] = 1
assert np.loadtxt("table.txt").sum() == 3 and np.memmap("map.bin", dtype="float32", mode="r").sum() == 4
with profile() as timed:
    model(torch.zeros(1, 4))
timed.export_chrome_trace("times.json")
assert os.path.getsize("times.json")
with sqlite3.connect("runs.db") as database:
    database.execute("create table runs (loss)")
assert os.path.exists("runs.db")
with tempfile.NamedTemporaryFile(dir=".") as file:
    file.write(b"1")
torch.export.save(torch.export.export(model, (torch.zeros(1, 4),)), "model.pt2")
torch.export.load("model.pt2")
"""

SUMMARY = """
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("runs")
writer.add_scalar("loss", 1.0, 0)
writer.close()
assert os.listdir("runs")
"""


@pytest.mark.parametrize(
    ("needs", "extra"), [("", ""), ("numpy", OTHERS), ("safetensors", SAFETENSORS), ("tensorboard", SUMMARY)]
)
def test_a_dry_run_leaves_nothing_behind(
    run: Run,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    needs: str,
    extra: str,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("other")))
    if needs:
        pytest.importorskip(needs)
    prepare(tmp_path, WRITES.format(imports="import sys; sys.path.append('link')", extra=extra))
    before = listing(tmp_path)
    command = "import os, sys; os.chdir('work'); from torchlint.cli import main; main(sys.argv[1:])"
    ran = run({}, "-c", command, "trace", "train.py")
    assert "through" in ran.out, ran.err
    assert ran.code == 0
    assert listing(tmp_path) == before
