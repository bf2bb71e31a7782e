"""What every file is (sha256, size) and holds (facts), remembered by path, size, time and inode in a small database.

The database only saves time. A broken, locked or missing one is ignored, and what it says of a file is used only while
the file's stamp is unchanged.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ingest.opening import Stamp

_LOG = logging.getLogger(__name__)
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    location TEXT, kind TEXT, stamp TEXT, sha256 TEXT, facts TEXT, PRIMARY KEY (location, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (hash TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a file: sha256 and the text of its facts."""

    stamp: Stamp
    sha256: str
    facts: str


def cache_folder() -> Path:
    """CUBE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("CUBE_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "climate-impact-cube"


class IdentityCache:
    """The database; `kind` names which facts are meant (their revision, the group they were read from)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or cache_folder()) / "files.sqlite"

    def find(self, locations: Sequence[str], kind: str) -> dict[str, Known]:
        """What is known of those locations."""

        def ask(base: sqlite3.Connection) -> dict[str, Known]:
            rows = base.execute(
                "SELECT location, stamp, sha256, facts FROM files"
                " WHERE kind = ? AND location IN (SELECT value FROM json_each(?))",
                (kind, json.dumps(locations)),
            )
            return {place: Known(tuple(json.loads(stamp)), sha256, facts) for place, stamp, sha256, facts in rows}

        return self._with(ask, {}) if self._path.exists() else {}

    def blobs(self, hashes: Iterable[str]) -> dict[str, bytes]:
        """Structures and coordinates by hash; those that are not known are left out."""

        def ask(base: sqlite3.Connection) -> dict[str, bytes]:
            wanted = json.dumps(sorted(set(hashes)))
            rows = base.execute(
                "SELECT hash, data FROM blobs WHERE hash IN (SELECT value FROM json_each(?))", (wanted,)
            )
            return dict(rows.fetchall())

        return self._with(ask, {}) if self._path.exists() else {}

    def keep(self, found: dict[str, Known], blobs: dict[str, bytes], kind: str) -> None:
        """Remember files and the blobs that their facts name."""

        def tell(base: sqlite3.Connection) -> None:
            base.executescript(_TABLES)
            base.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", blobs.items())
            base.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                [(place, kind, json.dumps(each.stamp), each.sha256, each.facts) for place, each in found.items()],
            )
            base.commit()

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _LOG.warning("no cache of file identities in %s: %s", self._path.parent, error.strerror)
            return
        self._with(tell, None)

    def _with[T](self, act: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            with closing(sqlite3.connect(self._path, timeout=5)) as base:
                return act(base)
        except (sqlite3.Error, ValueError) as error:
            _LOG.warning("the cache of file identities %s is not used: %s", self._path, error)
            return otherwise
