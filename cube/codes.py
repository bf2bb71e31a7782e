"""What each error code means, for `cube explain CODE`."""

from __future__ import annotations

CODES: dict[str, str] = {}
