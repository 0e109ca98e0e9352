"""The trace's report as one page of HTML that needs nothing else: sites, what is wrong with them, and plots of what they got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchlint import __version__
from torchlint.contracts import Contracts
from torchlint.diagnostics import Diagnostic
from torchlint.trace.markup import Markup, joined, tag
from torchlint.trace.plots import curve, spread
from torchlint.trace.report import Reported, Result, Told, fake_words, near, place_of, summary
from torchlint.trace.seen import Point, Seen

_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --soft: #f3f5f7;
  --input: #0b5cad; --target: #a34a00; --loss: #6b3fa0; --error: #b42318; --warning: #8a5a00; --suspect: #86308f;
  --info: #0b5cad; --good: #1a6b35; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --text: #e6e9ee; --dim: #a3acb8; --line: #3a424d;
  --soft: #1e232a; --input: #79b8ff; --target: #ffab70; --loss: #cfaeff; --error: #ff9b92; --warning: #f2cc60;
  --suspect: #eaa6f0; --info: #79b8ff; --good: #7ee2a0; } }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 3rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1.05rem; }
a { color: var(--info); } a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 2px solid; outline-offset: 2px; }
code, td.code { font-family: ui-monospace, monospace; font-size: 0.92em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.93rem; }
caption { text-align: left; color: var(--dim); } th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0;
  border-bottom: 1px solid var(--line); } .number { text-align: right; }
article { border-top: 3px solid var(--line); margin-top: 1.5rem; }
.verdict { background: var(--soft); border-left: 4px solid; margin: 0.6rem 0; padding: 0.5rem 0.8rem; }
.verdict p { margin: 0.2rem 0; color: var(--text); } .dim { color: var(--dim); }
.error { color: var(--error); } .warning { color: var(--warning); } .suspect { color: var(--suspect); }
.info { color: var(--info); } .good { color: var(--good); }
.plots { display: flex; flex-wrap: wrap; gap: 1.25rem; } figure { margin: 0.5rem 0; width: 21rem; max-width: 100%; }
figcaption { font-size: 0.9rem; } svg { width: 100%; height: auto; } svg text { fill: var(--dim); font-size: 11px; }
.axis { fill: none; stroke: var(--line); } .input { fill: var(--input); } .target { fill: var(--target); }
.loss { fill: var(--loss); } .line { fill: none; stroke-width: 1.5; } .line.loss { stroke: var(--loss); fill: none; }
details { font-size: 0.85rem; max-height: 14rem; overflow: auto; }
"""


def render(result: Result, contracts: Contracts, program: str, findings: Sequence[Diagnostic] | None = None) -> str:
    """The whole page; with the linter's findings if it has run, too."""
    title = f"torchlint trace: {program}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    )
    sites = list(enumerate(result.sites, 1))
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", summary(result)), *_notes(result)),
        tag(
            "main",
            _section("training", "The run", _training(result)),
            _section("sites", "Loss calls", _table(sites), *(_site(number, site, contracts) for number, site in sites)),
            *([_section("findings", "Findings of the linter", _findings(findings))] if findings is not None else []),
        ),
        tag("footer", tag("p", f"torchlint {__version__}", class_="dim")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _findings(findings: Sequence[Diagnostic]) -> Markup:
    if not findings:
        return tag("p", "Nothing was found.")
    heads = ("Place", "Rule", "Message", "By the trace")
    rows = [
        tag(
            "tr",
            tag("td", f"{near(each.place.path)}:{each.place.line}:{each.place.column}", class_="code"),
            tag("td", f"{each.code} {each.name}", class_=each.severity),
            tag("td", each.message),
            tag("td", each.runtime or "unseen"),
        )
        for each in findings
    ]
    head = tag("tr", *(tag("th", name, scope="col") for name in heads))
    table = tag("table", tag("caption", "What the code shows"), tag("thead", head), tag("tbody", *rows))
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label="Findings of the linter")


def _notes(result: Result) -> Iterator[Markup]:
    lines = list(fake_words(result.fake)) if result.fake is not None else []
    lines += [f"note: the tracer could not examine a call: {failure}" for failure in result.failures]
    for line in lines:
        yield tag("p", line, class_="dim")


def _section(key: str, title: str, *children: Markup) -> Markup:
    return tag("section", tag("h2", title, id=key), *children, aria_labelledby=key)


def _training(result: Result) -> Markup:
    if not result.losses and not result.gradients:
        return tag("p", "No loss was seen on its way backward.")
    return tag(
        "div",
        curve(result.losses, "Loss", "loss", "run-loss"),
        curve(result.gradients, "Gradient norm", "loss", "run-gradient"),
        class_="plots",
    )


def _table(sites: Sequence[tuple[int, Reported]]) -> Markup:
    if not sites:
        return tag("p", "No loss was called.")
    head = tag("tr", *(tag("th", name, scope="col") for name in ("Place", "Loss", "Calls", "Verdict")))
    rows = [
        tag(
            "tr",
            tag("td", tag("a", place_of(site), href=f"#site-{number}"), class_="code"),
            tag("td", site.name),
            tag("td", str(site.total), class_="number"),
            tag("td", *_labels(site)),
        )
        for number, site in sites
    ]
    table = tag("table", tag("caption", "Each place that calls a loss"), tag("thead", head), tag("tbody", *rows))
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label="Loss calls")


def _labels(site: Reported) -> Iterator[Markup]:
    if not site.verdicts:
        yield tag("span", "ok", class_="good")
    for number, told in enumerate(site.verdicts):
        label = f"{told.severity}: {told.code or ''} {told.name}".replace("  ", " ")
        yield joined(", " if number else "", tag("span", label, class_=told.severity))


def _site(number: int, site: Reported, contracts: Contracts) -> Markup:
    roles = {arg.name: arg.role for arg in loss.args} if (loss := contracts.losses.get(site.contract)) else {}
    names = list(dict.fromkeys(name for call in site.calls for name in call.args))
    seen = {name: [call.args[name] for call in site.calls if name in call.args] for name in names}
    plots = [
        spread(values, name, "target" if roles.get(name) == "target" else "input", f"site-{number}-{name}")
        for name in names
        if (values := [value for each in seen[name] if each.values is not None for value in each.values.some])
    ]
    results = [Point(index, call.result) for index, call in enumerate(site.calls, 1) if call.result is not None]
    if results:
        plots.append(curve(results, "Loss by call", "loss", f"site-{number}-loss"))
    return tag(
        "article",
        tag("h3", tag("code", place_of(site)), f" {site.name}", id=f"site-{number}"),
        *(_verdict(site, told) for told in site.verdicts),
        *(
            [tag("p", "The processes disagree here:"), tag("ul", *(tag("li", line) for line in site.ranks))]
            if site.ranks
            else []
        ),
        _arguments(seen) if names else Markup(),
        tag("div", *plots, class_="plots"),
        aria_labelledby=f"site-{number}",
    )


def _verdict(site: Reported, told: Told) -> Markup:
    calls = "" if told.calls is None else f", in {told.calls} of {site.examined} calls examined"
    label = " ".join(filter(None, (told.severity, told.code, told.name)))
    lines = [tag("strong", label), tag("p", told.message), tag("p", f"Seen: {told.evidence}{calls}", class_="dim")]
    if told.code:
        lines.append(tag("p", "Help: ", tag("code", f"torchlint explain {told.code}")))
    return tag("div", *lines, class_=f"verdict {told.severity}")


def _arguments(seen: dict[str, list[Seen]]) -> Markup:
    heads = ("Argument", "Shapes", "Dtype", "Device", "Range", "Came from")
    rows = [tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in _cells(seen[name]))) for name in seen]
    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    table = tag("table", tag("caption", "What arrived"), tag("thead", head), tag("tbody", *rows))
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label="What arrived")


def _cells(seen: Sequence[Seen]) -> Iterator[str]:
    shapes = list(dict.fromkeys(f"[{', '.join(map(str, each.shape))}]" for each in seen))
    yield ", ".join(shapes[:4]) + (" ..." if len(shapes) > 4 else "")
    yield "/".join(dict.fromkeys(each.dtype for each in seen))
    yield "/".join(dict.fromkeys(each.device for each in seen))
    values = [each.values for each in seen if each.values is not None]
    yield f"{min(v.low for v in values):.4g} to {max(v.high for v in values):.4g}" if values else "not looked at"
    yield ", ".join(dict.fromkeys(each.origin.name for each in seen if each.origin.name)) or "not known"
