"""How messages and trails name kinds and what gives them."""

from __future__ import annotations

KIND_WORDS: dict[str, str] = {
    "raw": "raw values (logits)",
    "probability": "probabilities",
    "simplex": "probabilities that sum to 1",
    "log_simplex": "log-probabilities",
    "log_probability": "log-probabilities",
    "bounded": "values between -1 and 1",
    "nonnegative": "values from 0 up",
    "class_index": "class indices or 0/1 labels",
    "one_hot": "one-hot rows",
    "loss": "a loss",
    "unknown": "values of unknown kind",
}


def spelled(name: str) -> str:
    """A dotted name as people write it."""
    for long, short in (("torch.nn.functional.", "F."), ("torch.nn.", "nn.")):
        if name.startswith(long):
            return short + name[len(long) :]
    return name
