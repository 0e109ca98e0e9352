"""Small training scripts in pairs: one with a mistake, whose lines are marked with the code of the verdict, and its right twin."""

from __future__ import annotations

import re
from typing import NamedTuple

_START = """\
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
"""

_LOOP = """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    optimizer.step()
"""


_MARK = re.compile(r"  # (TLN\d{3}|[a-z]+(?:-[a-z]+)+)$", re.MULTILINE)


class Twin(NamedTuple):
    """A wrong script and what makes it right. `# CODE` at the end of a line is the verdict that is wanted there."""

    name: str
    wrong: str
    right: str

    def wanted(self) -> set[tuple[int, str]]:
        """The lines that are wrong and their codes."""
        return marks(self.wrong)


def _pair(name: str, text: str, *changes: tuple[str, str]) -> Twin:
    """A whole script behind the imports, with marks; the changes repair it."""
    wrong = _START + text
    right = _MARK.sub("", wrong)
    for old, new in changes:
        assert old in right, (name, old)
        right = right.replace(old, new)
    return Twin(name, wrong, right)


def marks(script: str) -> set[tuple[int, str]]:
    """Line and code (or name) of the marks of a script."""
    found = set()
    for number, line in enumerate(script.splitlines(), 1):
        if mark := _MARK.search(line):
            found.add((number, mark[1]))
    return found


def _twin(
    name: str, setup: str, loss: str, code: str, *changes: tuple[str, str], backward: str = "", step: str = ""
) -> Twin:
    """A script of a setup and a loop around one loss; the changes repair it. `backward` and `step` mark its last lines."""
    mark = f"  # {code}" if code else ""
    wrong = _START + setup + _LOOP.format(loss=f"{loss}{mark}")
    if backward:
        wrong = wrong.replace("loss.backward()", f"loss.backward()  # {backward}")
    if step:
        wrong = wrong.replace("optimizer.step()", f"optimizer.step()  # {step}")
    right = _MARK.sub("", wrong)
    for old, new in changes:
        assert old in right, (name, old)
        right = right.replace(old, new)
    return Twin(name, wrong, right)


_FLAGS = "x = torch.randn(32, 4)\ny = (x[:, :1] > 0).float()\n"
_CLASSES = "x = torch.randn(32, 4)\ny = torch.randint(5, (32,))\n"
_NUMBERS = "x = torch.randn(32, 4)\ny = x[:, 0] * 2 + 1\n"

TWINS = [
    _twin(
        "sigmoid in the model",
        _FLAGS + "model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())\ncriterion = nn.BCEWithLogitsLoss()\n",
        "criterion(model(x), y)",
        "TLN101",
        ("BCEWithLogitsLoss", "BCELoss"),
    ),
    _twin(
        "sigmoid, then squeeze, view, clone and cast",
        _FLAGS + "model = nn.Linear(4, 1)\n",
        "F.binary_cross_entropy_with_logits(model(x).sigmoid().squeeze(1).view(-1, 1).clone().double(), y.double())",
        "TLN101",
        (".sigmoid()", ""),
    ),
    _twin(
        "two steps in one line, told apart by their column",
        _FLAGS + "model = nn.Linear(4, 1)\nbce = nn.BCEWithLogitsLoss()\n",
        "bce(model(x), y) + bce(target=y, input=torch.sigmoid(model(x)))",
        "TLN101",
        ("torch.sigmoid(model(x))", "model(x)"),
    ),
    _twin(
        "a focal loss that needs the probability besides",
        _FLAGS + "model = nn.Linear(4, 1)\n"
        "def focal(scores, y):\n"
        "    p = torch.sigmoid(scores)\n"
        "    ce = F.binary_cross_entropy_with_logits(p, y, reduction='none')  # TLN101\n"
        "    return (((1 - p) * y + p * (1 - y)) ** 2 * ce).mean()\n",
        "focal(model(x), y)",
        "",
        ("logits(p, y", "logits(scores, y"),
    ),
    _twin(
        "no sigmoid before BCELoss",
        _FLAGS + "model = nn.Linear(4, 1)\ncriterion = nn.BCELoss()\n",
        "criterion(model(x), y)",
        "TLN102",
        ("model(x)", "model(x).sigmoid()"),
    ),
    _twin(
        "softmax and BCELoss",
        "x = torch.randn(32, 4)\ny = torch.randint(2, (32, 5)).float()\n"
        "model = nn.Sequential(nn.Linear(4, 5), nn.Softmax(dim=1))\n",
        "nn.BCELoss()(model(x), y)",
        "TLN103",
        ("nn.Softmax(dim=1)", "nn.Sigmoid()"),
    ),
    _twin(
        "one column of a softmax is a probability",
        _FLAGS + "model = nn.Linear(4, 2)\n",
        "F.binary_cross_entropy(model(x).softmax(1), torch.cat([1 - y, y], 1))",
        "TLN103",
        ("model(x).softmax(1), torch.cat([1 - y, y], 1)", "model(x).softmax(1)[:, 1:], y"),
    ),
    _twin(
        "softmax before cross entropy",
        _CLASSES + "model = nn.Sequential(nn.Linear(4, 5), nn.Softmax(-1))\n",
        "nn.CrossEntropyLoss()(model(x), y)",
        "TLN104",
        (", nn.Softmax(-1)", ""),
    ),
    _twin(
        "attention inside the model, raw scores outside",
        _CLASSES + "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)\n"
        "        self.head = nn.Linear(4, 5)\n"
        "    def forward(self, x):\n"
        "        return F.softmax(self.head(self.attention(x[None], x[None], x[None])[0][0]), dim=-1)\n"
        "model = Net()\n",
        "F.cross_entropy(model(x), y)",
        "TLN104",
        (
            "F.softmax(self.head(self.attention(x[None], x[None], x[None])[0][0]), dim=-1)",
            "self.head(self.attention(x[None], x[None], x[None])[0][0])",
        ),
    ),
    _twin(
        "soft targets are a softmax and right",
        "x = torch.randn(32, 4)\nteacher = nn.Linear(4, 5)\nmodel = nn.Linear(4, 5)\n",
        "F.cross_entropy(model(x).softmax(1), teacher(x).softmax(1).detach())",
        "TLN104",
        ("model(x).softmax(1)", "model(x)"),
    ),
    _twin(
        "scores into nll_loss",
        _CLASSES + "model = nn.Linear(4, 5)\n",
        "F.nll_loss(model(x), y)",
        "TLN105",
        ("model(x)", "F.log_softmax(model(x), dim=1)"),
    ),
    _twin(
        "softmax into nll_loss, the logarithm in another step",
        _CLASSES + "model = nn.Sequential(nn.Linear(4, 5), nn.Softmax(1))\n",
        "nn.NLLLoss()(model(x), y)",
        "TLN105",
        ("model(x)", "torch.log(model(x))"),
    ),
    _twin(
        "probabilities into kl_div",
        "x = torch.randn(32, 4)\nteacher = nn.Linear(4, 5)\nmodel = nn.Linear(4, 5)\n",
        "F.kl_div(model(x).softmax(1), teacher(x).softmax(1).detach(), reduction='batchmean')",
        "TLN106",
        ("model(x).softmax(1)", "model(x).log_softmax(1)"),
    ),
    _twin(
        "[B, 1] and [B] in mse_loss",
        _NUMBERS + "model = nn.Linear(4, 1)\n",
        "nn.MSELoss()(model(x), y)",
        "TLN203",
        ("model(x)", "model(x).squeeze(1)"),
    ),
    _twin(
        "one side of a regression squeezed",
        _NUMBERS + "y = y[:, None]\nmodel = nn.Linear(4, 1)\n",
        "F.smooth_l1_loss(model(x).squeeze(), y)",
        "TLN202",
        (".squeeze()", ""),
    ),
    _twin(
        "targets that are meant to be stretched",
        "x = torch.randn(32, 4)\ny = x[:, 0]\nmodel = nn.Linear(4, 3)\n",
        "F.poisson_nll_loss(model(x)[:, :1], y.abs())",
        "TLN203",
        ("model(x)[:, :1], y.abs()", "model(x), torch.ones(1)"),
    ),
    _twin(
        "one score in cross entropy",
        _CLASSES + "y = y * 0\nmodel = nn.Linear(4, 1)\n",
        "F.cross_entropy(model(x), y)",
        "TLN204",
        ("y = y * 0\n", ""),
        ("nn.Linear(4, 1)", "nn.Linear(4, 5)"),
    ),
    _twin(
        "softmax over the batch",
        _CLASSES + "model = nn.Sequential(nn.Linear(4, 5), nn.LogSoftmax(dim=0))\n",
        "F.nll_loss(model(x), y)",
        "TLN205",
        ("dim=0", "dim=1"),
    ),
    _twin(
        "a view that mixes the classes of pixels",
        "x = torch.randn(2, 3, 6, 7)\ny = torch.randint(5, (2, 6, 7))\nmodel = nn.Conv2d(3, 5, 1)\n",
        "F.cross_entropy(model(x).view(-1, 5), y.view(-1))",
        "TLN206",
        ("model(x)", "model(x).permute(0, 2, 3, 1).contiguous()"),
    ),
    _twin(
        "time steps flattened with classes last",
        "x = torch.randn(2, 6, 4)\ny = torch.randint(5, (2, 6))\nmodel = nn.Linear(4, 5)\n",
        "F.cross_entropy(model(x).transpose(1, 2).reshape(-1, 6)[:, :5], y.view(-1)[:10])",
        "",
        ("model(x).transpose(1, 2).reshape(-1, 6)[:, :5], y.view(-1)[:10]", "model(x).view(-1, 5), y.view(-1)"),
    ),
    _twin(
        "a batch taken for one sample",
        _FLAGS + "y = y.squeeze(1)\nmodel = nn.Linear(4, 1)\n",
        "F.cross_entropy(model(x).squeeze(1), y)",
        "TLN207",
        ("F.cross_entropy(", "F.binary_cross_entropy_with_logits("),
    ),
    _twin(
        "values outside [0, 1] as targets",
        _FLAGS + "y = y * 255\nmodel = nn.Linear(4, 1)\n",
        "F.binary_cross_entropy_with_logits(model(x), y)",
        "TLN302",
        ("y * 255", "y * 0.9 + 0.05"),
    ),
    _twin(
        "0 and 1 for a loss of signs",
        _FLAGS + "model = nn.Linear(4, 1)\n",
        "nn.SoftMarginLoss()(model(x), y)",
        "TLN302",
        ("model(x), y", "model(x), 2 * y - 1"),
    ),
    _twin(
        "rows of flags for a loss of class numbers",
        "x = torch.randn(32, 4)\ny = F.one_hot(torch.randint(5, (32,)), 5)\nmodel = nn.Linear(4, 5)\n",
        "nn.MultiLabelMarginLoss()(model(x), y)",
        "TLN302",
        ("model(x), y", "model(x), F.pad(y.argmax(1, keepdim=True), (0, 4), value=-1)"),
    ),
    _twin(
        "several labels in cross entropy",
        "x = torch.randn(32, 4)\ny = (torch.rand(32, 5) > 0.3).float()\nmodel = nn.Linear(4, 5)\n",
        "F.cross_entropy(model(x), y)",
        "TLN302",
        ("model(x), y", "model(x), y / y.sum(1, keepdim=True).clamp(min=1)"),
    ),
    _twin(
        "input and target in the other's place",
        _FLAGS + "model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())\n",
        "F.binary_cross_entropy(y, model(x))",
        "TLN402",
        ("y, model(x)", "model(x), y"),
    ),
    _twin(
        "a logarithm of zero",
        _CLASSES + "model = nn.Linear(4, 5)\n",
        "F.nll_loss(torch.log(torch.softmax(1000 * model(x), 1)), y)",
        "non-finite-loss",
        ("torch.log(torch.softmax(1000 * model(x), 1))", "F.log_softmax(1000 * model(x), 1)"),
    ),
    _twin(
        "a loss that stands still",
        _NUMBERS + "model = nn.Linear(4, 1)\n",
        "F.mse_loss(model(x).squeeze(1).round() * 0 + y.mean(), y)",
        "constant-loss",
        (".round() * 0 + y.mean()", ""),
        step="zero-gradient",
    ),
    _pair(
        "units that are all dead",
        _NUMBERS
        + """
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5))
nn.init.constant_(model[0].bias, -100.0)
optimizer = torch.optim.Adam(model.parameters())
for step in range(4):
    optimizer.zero_grad()
    F.mse_loss(model(x).mean(1), y + torch.rand(32)).backward()
    optimizer.step()  # zero-gradient
""",
        ("nn.init.constant_(model[0].bias, -100.0)\n", ""),
    ),
    _pair(
        "an optimizer of another model",
        _NUMBERS
        + """
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model = nn.Linear(4, 1)
for step in range(4):
    optimizer.zero_grad()
    F.mse_loss(model(x)[:, 0], y + torch.rand(32)).backward()
    optimizer.step()  # no-gradient
""",
        ("lr=0.1)\nmodel = nn.Linear(4, 1)", "lr=0.1)"),
    ),
    _pair(
        "gradients thrown away before the step",
        _NUMBERS
        + """
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    F.mse_loss(model(x)[:, 0], y + torch.rand(32)).backward()
    optimizer.zero_grad()
    optimizer.step()  # no-gradient
""",
        ("    optimizer.zero_grad()\n    optimizer.step()", "    optimizer.step()\n    optimizer.zero_grad()"),
    ),
    _pair(
        "steps too small for the dtype of the parameters",
        _NUMBERS
        + """
model = nn.Linear(4, 1)
model = model.to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0)
for step in range(4):
    optimizer.zero_grad()
    F.mse_loss(model(x.to(model.weight.dtype))[:, 0].float(), y + torch.rand(32)).backward()
    optimizer.step()  # unchanged-parameters
""",
        ("model = model.to(torch.bfloat16)\n", ""),
    ),
    _pair(
        "a learning rate that begins at 0 and goes on so",
        _NUMBERS
        + """
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step // 100)
for step in range(4):
    optimizer.zero_grad()
    F.mse_loss(model(x)[:, 0], y + torch.rand(32)).backward()
    optimizer.step()  # unchanged-parameters
    scheduler.step()
""",
        ("step // 100", "step / 100"),
    ),
    _twin(
        "under no_grad, in inference mode, and where memory was written to again",
        _FLAGS + "model = nn.Linear(4, 1)\n"
        "with torch.no_grad():\n"
        "    F.binary_cross_entropy_with_logits(model(x).sigmoid(), y)  # TLN101\n"
        "with torch.inference_mode():\n"
        "    F.binary_cross_entropy_with_logits(torch.sigmoid(model(x)).squeeze(1), y[:, 0])  # TLN101\n"
        "with torch.no_grad():\n"
        "    scaled = torch.sigmoid(model(x)).mul_(8).sub_(4)\n"
        "    F.binary_cross_entropy_with_logits(scaled, y)\n",
        "F.binary_cross_entropy_with_logits(model(x), y)",
        "",
        ("model(x).sigmoid()", "model(x)"),
        ("torch.sigmoid(model(x)).squeeze(1)", "model(x).squeeze(1)"),
    ),
    _twin(
        "gradient checkpointing of both kinds",
        "from torch.utils.checkpoint import checkpoint\n" + _FLAGS + "model = nn.Linear(4, 1)\n"
        "def run(x):\n"
        "    return torch.sigmoid(model(x))\n"
        "x.requires_grad_()\n"
        "F.binary_cross_entropy_with_logits(checkpoint(run, x, use_reentrant=True), y).backward()  # TLN101\n",
        "F.binary_cross_entropy_with_logits(checkpoint(run, x, use_reentrant=False), y)",
        "TLN101",
        ("torch.sigmoid(model(x))", "model(x)"),
    ),
    _twin(
        "autocast on the CPU",
        _CLASSES + "model = nn.Linear(4, 5)\n",
        "F.cross_entropy(torch.autocast('cpu', torch.bfloat16)(lambda: model(x).softmax(1))(), y)",
        "TLN104",
        (".softmax(1)", ""),
    ),
    _twin(
        "a closure for LBFGS, in another thread",
        "import threading\n" + _FLAGS + "model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())\n"
        "criterion = nn.BCEWithLogitsLoss()\n"
        "lbfgs = torch.optim.LBFGS(model.parameters(), max_iter=3)\n"
        "def closure():\n"
        "    lbfgs.zero_grad()\n"
        "    value = criterion(model(x), y)  # TLN101\n"
        "    value.backward()\n"
        "    return value\n"
        "thread = threading.Thread(target=lambda: lbfgs.step(closure))\n"
        "thread.start()\n"
        "thread.join()\n",
        "criterion(model[0](x), y)",
        "",
        (", nn.Sigmoid()", ""),
    ),
    _twin(
        "a squared error by hand that compares all with all",
        _NUMBERS + "model = nn.Linear(4, 1)\n",
        "((model(x) - y) ** 2).mean()\n    F.mse_loss(model(x), y[:, None])",
        "",
        ("model(x) - y)", "model(x).squeeze(1) - y)"),
        backward="TLN203",
    ),
    _twin(
        "a loss that is made anew",
        _NUMBERS + "model = nn.Linear(4, 1)\n",
        "torch.tensor(F.mse_loss(model(x)[:, 0], y).item(), requires_grad=True)",
        "constant-loss",
        ("torch.tensor(F.mse_loss(model(x)[:, 0], y).item(), requires_grad=True)", "F.mse_loss(model(x)[:, 0], y)"),
        backward="TLN403",
    ),
    _twin(
        "torch.func and scripted code",
        "from torch.func import functional_call, grad, vmap\n" + _FLAGS + "model = nn.Linear(4, 1)\n"
        "def one(parameters, sample, label):\n"
        "    return F.binary_cross_entropy_with_logits(functional_call(model, parameters, (sample,)), label)\n"
        "vmap(grad(one), (None, 0, 0))(dict(model.named_parameters()), x, y)\n"
        "@torch.jit.script\n"
        "def scripted(scores, labels):\n"
        "    return F.binary_cross_entropy_with_logits(torch.sigmoid(scores), labels)\n"
        "scripted(model(x), y)\n",
        "F.binary_cross_entropy_with_logits(torch.sigmoid(model(x)), y)",
        "TLN101",
        ("torch.sigmoid(model(x))", "model(x)"),
    ),
    _twin(
        "a likelihood by hand that takes every prediction with every label",
        _FLAGS + "y = y.squeeze(1)\nmodel = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())\n"
        "def likelihood(p):\n"
        "    return -(y * torch.log(p + 1e-6) + (1 - y) * torch.log(1 - p + 1e-6)).mean()\n",
        "likelihood(model(x))\n    F.binary_cross_entropy(model(x), y[:, None])",
        "",
        ("likelihood(model(x))", "likelihood(model(x).squeeze(1))"),
        backward="TLN203",
    ),
    _twin(
        "a hinge by hand, and weights and distances that are stretched on purpose",
        _FLAGS
        + "y = 2 * y.squeeze(1) - 1\nmodel = nn.Linear(4, 1)\nweights, places = torch.rand(32), torch.arange(32.0)\n"
        "table, offsets = torch.rand(32, 32), nn.Parameter(torch.rand(32))\n"
        "def more(scores):\n"
        "    near = (scores.sum(1, keepdim=True) - places[None]).abs().mean()\n"
        "    near = near + (table - offsets).abs().mean()\n"
        "    return near + (weights[:, None] * scores).mean() + F.mse_loss(scores, y[:, None])\n",
        "(1 - y * model(x)).clamp(min=0).mean() + more(model(x))",
        "",
        ("y * model(x)", "y * model(x).squeeze(1)"),
        backward="TLN203",
    ),
    _twin(
        "predictions that went through numpy",
        _CLASSES + "model = nn.Linear(4, 5)\n",
        "F.cross_entropy(torch.tensor(model(x).detach().numpy(), requires_grad=True), y)",
        "constant-loss",
        ("torch.tensor(model(x).detach().numpy(), requires_grad=True)", "model(x)"),
        backward="TLN403",
    ),
    _twin(
        "an optimizer of frozen parameters",
        _NUMBERS + "body, model, head = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 1)\n",
        "F.mse_loss(head(model(body(x)))[:, 0], y + torch.rand(32))",
        "",
        ("nn.Linear(4, 4).requires_grad_(False)", "nn.Linear(4, 4)"),
        step="no-gradient",
    ),
    _twin(
        "scores into the loss of sequences",
        "x = torch.randn(12, 3, 4)\ny = torch.randint(1, 5, (3, 6))\nmodel = nn.Linear(4, 5)\n",
        "nn.CTCLoss()(model(x), y, torch.full((3,), 12), torch.full((3,), 4))",
        "TLN111",
        ("model(x)", "model(x).log_softmax(2)"),
    ),
    _twin(
        "weights of the classes along the columns of a picture",
        "x = torch.randn(2, 3, 4, 4)\ny = (torch.rand(2, 4, 4, 4) > 0.5).float()\nmodel = nn.Conv2d(3, 4, 1)\n"
        "weights = torch.tensor([1.0, 2.0, 3.0, 4.0])\n",
        "F.binary_cross_entropy_with_logits(model(x), y, pos_weight=weights)",
        "TLN303",
        ("pos_weight=weights", "pos_weight=weights[:, None, None]"),
    ),
    _twin(
        "outputs without a graph that were cast and put together",
        _FLAGS + "model = nn.Linear(4, 1)\n"
        "with torch.no_grad():\n"
        "    parts = [model(part).sigmoid().to(torch.float64).float() for part in x.split(8)]\n"
        "    F.binary_cross_entropy_with_logits(torch.cat(parts), y)  # TLN101\n",
        "F.binary_cross_entropy_with_logits(model(x), y)",
        "",
        (".sigmoid()", ""),
    ),
    _pair(
        "two nets against each other, each side with labels of its own",
        """
judge, maker = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), nn.Linear(2, 4)
bce = nn.BCEWithLogitsLoss()
first, second = torch.optim.Adam(judge.parameters()), torch.optim.Adam(maker.parameters())
for step in range(6):
    made = maker(torch.randn(32, 2))
    first.zero_grad()
    real = bce(judge(torch.randn(32, 4)), torch.ones(32, 1))  # TLN101
    fake = bce(judge(made.detach()), torch.zeros(32, 1))  # TLN101
    (real + fake).backward()
    first.step()
    second.zero_grad()
    bce(judge(made), torch.ones(32, 1)).backward()  # TLN101
    second.step()
""",
        (", nn.Sigmoid()", ""),
    ),
    _pair(
        "one positive pair in front of the negative ones",
        """
model = nn.Linear(4, 8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
queue = F.normalize(torch.randn(8, 40), dim=0)
for step in range(6):
    x = torch.randn(32, 4)
    query, key = F.normalize(model(x), dim=1), F.normalize(model(x + 0.1 * torch.randn(32, 4)), dim=1).detach()
    scores = torch.cat([torch.einsum("nc,nc->n", query, key)[:, None], query @ queue], dim=1) / 0.07
    loss = F.cross_entropy(scores.softmax(1), torch.zeros(32, dtype=torch.long))  # TLN104
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
        ("scores.softmax(1)", "scores"),
    ),
    _pair(
        "a head that begins at zero, in a warm-up",
        _CLASSES
        + """
model = nn.Linear(4, 5)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 1000)
for step in range(6):
    optimizer.zero_grad()
    F.cross_entropy(model(x).log_softmax(1).exp(), y).backward()  # TLN104
    optimizer.step()
    scheduler.step()
""",
        (".log_softmax(1).exp()", ""),
    ),
]

SUSPECTS = [
    _pair(
        "predictions that are the same for every class",
        _CLASSES
        + """
model = nn.Linear(4, 5)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
for step in range(6):
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()  # chance-loss
    optimizer.step()
""",
        ("lr=1e-6", "lr=0.1"),
    ),
    _pair(
        "a binary loss that stays at ln 2",
        _FLAGS
        + """
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    optimizer.zero_grad()
    F.binary_cross_entropy_with_logits(1e-5 * model(x[step:]), y[step:]).backward()  # chance-loss
    optimizer.step()
""",
        ("1e-5 * model", "model"),
    ),
    _pair(
        "data that are sorted by their class and not shuffled",
        """
from torch.utils.data import DataLoader, TensorDataset
x = torch.randn(320, 4)
y = torch.arange(320) // 64
model = nn.Linear(4, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=False)
for (inputs, labels), step in zip(loader, range(4)):
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), labels).backward()  # one-label
    optimizer.step()
""",
        ("shuffle=False", "shuffle=True"),
    ),
    _pair(
        "values that look like probabilities",
        _FLAGS
        + """
model = nn.Linear(4, 1)
class Squash(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return torch.tanh(x) / 2 + 0.5
    @staticmethod
    def backward(context, grad):
        return grad
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    F.binary_cross_entropy_with_logits(Squash.apply(model(x)), y).backward()  # TLN101
    optimizer.step()
""",
        ("torch.tanh(x) / 2 + 0.5", "torch.tanh(x) * 2"),
    ),
]
"""What is only suspected: the numbers agree with a mistake, and with what is right, too."""
