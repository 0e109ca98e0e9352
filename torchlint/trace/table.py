"""The trace's report on a terminal: a table of the sites, and below it what is wrong with them."""

from __future__ import annotations

from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchlint.contracts import Contracts
from torchlint.report.style import wants_colour
from torchlint.trace.report import Reported, Result, Told, fake_words, input_words, place_of, summary

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "cyan", "suspect": "magenta"}


def write(result: Result, contracts: Contracts, stream: IO[str]) -> None:
    """Print the table and the verdicts."""
    colour = wants_colour(stream)
    console = Console(file=stream, force_terminal=colour, no_color=not colour, highlight=False, soft_wrap=True)
    console.width = max(100, console.width)  # a table that is narrower breaks the names of the losses
    if result.sites:
        console.print(_table(result, contracts))
    for site in result.sites:
        for told in site.verdicts:
            _verdict(console, site, told)
    if result.fake is not None:
        for line in fake_words(result.fake):
            console.print(Text(line))
    for site in result.sites:
        if site.ranks:
            console.print(Text(f"note: the processes disagree at {place_of(site)}"))
            for line in site.ranks:
                console.print(Text(f"  {line}"))
    for failure in result.failures:
        console.print(Text(f"note: the tracer could not examine a call: {failure}"))
    console.print(Text(summary(result)))


def _table(result: Result, contracts: Contracts) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=None)
    for name in ("place", "loss", "calls", "input", "target", "verdict"):
        table.add_column(name, overflow="fold", justify="right" if name == "calls" else "left")
    for site in result.sites:
        loss = contracts.losses.get(site.contract)
        roles = [arg.name if loss and (arg := loss.arg(role)) else None for role in ("input", "target")]
        verdict = Text("\n").join(Text(_label(each), _STYLES[each.severity]) for each in site.verdicts)
        cells = [Text(input_words(site, role)) for role in roles]
        table.add_row(Text(place_of(site)), Text(site.name), str(site.total), *cells, verdict or Text("ok", "green"))
    return table


def _verdict(console: Console, site: Reported, told: Told) -> None:
    label = f"{told.severity}[{told.code}]" if told.code else told.severity
    console.print(Text.assemble((label, _STYLES[told.severity]), " ", (told.name, "bold"), f": {told.message}"))
    calls = "" if told.calls is None else f", in {told.calls} of {site.examined} calls examined"
    console.print(Text(f"  --> {place_of(site)}"))
    console.print(Text(f"   = seen: {told.evidence}{calls}"))
    if told.code:
        console.print(Text(f"   = help: torchlint explain {told.code}"))
    console.print()


def _label(told: Told) -> str:
    return f"{told.code or told.name} {'suspect' if told.severity == 'suspect' else ''}".strip()
