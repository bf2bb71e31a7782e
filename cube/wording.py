"""How keys and values that somebody wrote are told back to them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]

SHOWN = 20
"""Known words that a message lists."""


def dotted(path: KeyPath) -> str:
    """A key path as people write it: products.tamsat.files[0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, None where none is near."""
    plain = {each.lower().replace("_", "-"): each for each in known}
    found = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def suggestion(word: str, known: Iterable[str], noun: str) -> str:
    """A fix for an unknown word: the near miss, else all that is known."""
    known = list(known)
    near = nearest(word, known)
    if near:
        return f"did you mean {near!r}?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{noun}: {', '.join(known[:SHOWN])}{more}" if known else f"there are no {noun}"


def describe(value: Any) -> str:
    """A value as its author sees it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"a section with {', '.join(map(str, value))}" if value else "an empty section"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
