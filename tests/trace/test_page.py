"""The report as a page: whole in itself, escaped, and read by a real browser in light and dark."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.trace.conftest import Run
from torchlint.trace.plots import curve, spread
from torchlint.trace.seen import Point

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAME = "a<b>&\"c'.py"
TRAIN = """\
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(400, 8), torch.randint(5, (400,))
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5), nn.Softmax(1))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for epoch in range(9):
    for inputs, labels in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    with torch.no_grad():
        F.mse_loss(model(x)[:, 0], y / 5)
print("the script's own output")
"""


class Tags(HTMLParser):
    """Which elements a page has, and that each is closed where it has to be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_on_standard_output(trace: Run) -> None:
    ran = trace({NAME: TRAIN}, "--output-format", "html", "--check", "--isolated", NAME)
    assert ran.code == 1
    assert "the script's own output" not in ran.out
    tags = Tags(ran.out).seen
    assert {"a", "svg", "details"} <= {name for name, _ in tags}
    assert not {"b", "script", "link", "img", "iframe"} & {name for name, _ in tags}
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in tags)
    keys = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(keys) == len(set(keys))


def test_a_spread_counts_each_value_once() -> None:
    values = [0.5, 1.25, 1.5, 2.0, math.nan, -1.0]
    drawn = spread(values, "x <y>", "input", "key")
    assert "5 values from -1 to 2, mean 0.85; 1 more are not finite" in drawn
    assert "x &lt;y&gt;" in drawn and "<y>" not in drawn
    assert sum(_counts(drawn)) == 5
    assert _counts(spread([3.0, 1.0, 1.0], "labels", "target", "key")) == [2, 0, 1]
    assert _counts(spread([0.3] * 4, "constant", "target", "key")) == [4]
    assert "none of the 2 values" in spread([math.inf, math.nan], "lost", "input", "key")


def test_a_curve_goes_up_where_its_numbers_do() -> None:
    points = [Point(0, 1.0), Point(1, 3.0), Point(2, math.nan), Point(3, 2.0)]
    (drawn,) = [attributes for tag, attributes in Tags(curve(points, "Loss", "loss", "k")).seen if tag == "polyline"]
    places = [tuple(map(float, pair.split(","))) for pair in (drawn["points"] or "").split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    heights = [y for _, y in places]
    assert heights[1] < heights[2] < heights[0]
    assert "not finite 1 times" in curve(points, "Loss", "loss", "k")


def _counts(drawn: str) -> list[int]:
    """The counts of the table below a spread."""
    cells = [cell.partition("</td>")[0] for cell in drawn.split("<td>")[1:]]
    return [int(count) for count in cells[1::2]]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser that lies on this machine."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as running:
        sandbox = [] if getattr(os, "geteuid", lambda: 1)() else ["--no-sandbox"]  # it refuses to run as root with one
        opened = running.chromium.launch(executable_path=found, args=sandbox)
        yield opened
        opened.close()


def test_a_browser_shows_it(trace: Run, tmp_path: Path, browser: Browser) -> None:
    ran = trace({NAME: TRAIN}, "--output-format", "html", "-o", "report.html", NAME)
    assert ran.code == 1 and "the script's own output" not in ran.err
    colours = set()
    for scheme in ("light", "dark"):
        page, said, asked = _opened(browser, tmp_path / "report.html", scheme)
        assert page.inner_text("h1") == f"torchlint trace: {NAME}"
        assert page.get_by_role("table").first.get_by_role("row").count() == 3
        for name in ("Loss", "Gradient norm", "input", "target"):
            assert page.get_by_role("img", name=name).first.bounding_box()["height"] > 100  # type: ignore[index]
        page.get_by_role("link", name=f"{NAME}:14:9").click()
        assert page.evaluate("document.querySelector(':target').textContent").endswith("cross_entropy")
        page.get_by_text("Numbers").first.click()
        assert page.get_by_role("cell", name="7", exact=True).first.is_visible()
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert _least_contrast(page) >= 4.5
        page.set_viewport_size({"width": 360, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert said == []
        assert [url for url in asked if not url.startswith("file:")] == [] and len(asked) == 1
        page.close()
    assert len(colours) == 2


def _opened(browser: Browser, file: Path, scheme: Any) -> tuple[Page, list[str], list[str]]:
    """A page, what it says on the console, and what it asks for."""
    page = browser.new_page(color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page, said, asked


def _least_contrast(page: Page) -> float:
    """The smallest contrast of a text with what is behind it, as the guidelines on accessibility count it."""
    script = """() => {
        const light = text => {
            const parts = text.match(/[\\d.]+/g).map(Number);
            const [r, g, b] = parts.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = element => {
            for (let e = element; e; e = e.parentElement) {
                const colour = getComputedStyle(e).backgroundColor;
                if (!colour.endsWith(", 0)")) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const ratios = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
            const style = getComputedStyle(element);
            const colour = element instanceof SVGElement ? style.fill : style.color;
            const [a, b] = [light(colour), light(behind(element))];
            ratios.push((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
        }
        return Math.min(...ratios);
    }"""
    return float(page.evaluate(script))
