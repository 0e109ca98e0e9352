"""torchlint's own data: the folder of pages and contracts, and what a run needs of it before it parses any."""

from __future__ import annotations

import os

from torchlint.errors import RulebookError


def rules_folder() -> str:
    """The folder of pages and contracts: inside the package when installed, beside it in a checkout.

    Raises RulebookError if neither is there, which means a broken installation.
    """
    package = os.path.dirname(os.path.realpath(__file__))
    folders = [os.path.join(above, "rules") for above in (package, os.path.dirname(package))]
    for folder in folders:
        if os.path.isdir(os.path.join(folder, "contracts")):
            return folder
    raise RulebookError(f"the rulebook is missing: neither {folders[0]} nor {folders[1]} holds contracts")


TRACE = os.path.join(".torchlint", "trace.json")
"""Where `torchlint trace` leaves what it saw, in the folder that it was started in."""

LEARNS = ("backward", "manual_backward")
"""The methods that every loss comes to, also one that is written by hand."""


def loss_words() -> frozenset[bytes]:
    """The last part of every loss's and trainer's name in the rulebook's contracts, without parsing TOML, which takes 20 ms.

    A name too many does no harm: it costs the analysis of a file.
    """
    folder = os.path.join(rules_folder(), "contracts")
    words: set[bytes] = set()
    for name in os.listdir(folder):
        if name.endswith(".toml"):
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    tables = (b"\n" + file.read()).split(b"\n[")
            except OSError as error:
                raise RulebookError(f"{error.filename}: cannot be read: {error.strerror}") from error
            losses = b"".join(table for table in tables if table.startswith((b"loss.", b"trainer.")))
            quoted = losses.replace(b"'", b'"').split(b'"')[1::2]
            words.update(each.rpartition(b".")[2] for each in quoted if b"." in each)
    return frozenset(words)
