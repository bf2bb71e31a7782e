"""What each error code means, for `cube explain CODE`; the texts are in `codes.toml`."""

from __future__ import annotations

import tomllib
from importlib.resources import files


def _read() -> dict[str, str]:
    texts = tomllib.loads(files("cube").joinpath("codes.toml").read_text(encoding="utf-8"))
    return {code: " ".join(text.split()) for code, text in texts.items()}


CODES: dict[str, str] = _read()
"""One paragraph for each code."""
