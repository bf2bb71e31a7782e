"""Proving a staged version whole: every object is there and of the size that was written, and nothing else is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cube.errors import IntegrityError, Problem
from cube.hashing import readable, sha256
from cube.keys import BlockKey
from cube.stage import PARALLEL_REQUESTS, Receipt, Stored
from cube.stores import Store
from cube.versions import SCHEMA


def write_objects(store: Store, prefix: str, objects: Mapping[str, bytes]) -> dict[str, Stored]:
    """Write small objects of a version, by name relative to it."""
    for name, data in sorted(objects.items()):
        store.put(f"{prefix}/{name}", data)
    return {name: Stored(len(data), sha256(data)) for name, data in objects.items()}


def seal(
    store: Store,
    prefix: str,
    written: Mapping[str, Stored],
    receipts: Mapping[str, Receipt],
    keys: Mapping[str, BlockKey],
    shards: Iterable[str],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Prove a staged version whole and write its manifest, which is returned.

    written   structure, coordinates, references, by name relative to the version
    receipts  every block of every layout, by block id
    shards    the names that the structure gives to their objects
    manifest  all but `objects`, `blocks` and `missing`

    Raises IntegrityError naming each object that is absent, of another size than its receipt says, or of no receipt.
    """
    stored = dict(written)
    for receipt in receipts.values():
        stored.update(receipt.objects)
    problems = [_unproven(f"{prefix}/{name}") for name in sorted(set(shards) ^ (set(stored) - set(written)))]
    problems += check_sizes(store, prefix, stored)
    if problems:
        raise IntegrityError(problems)
    missing: dict[str, dict[str, int]] = {}
    for receipt in receipts.values():
        if receipt.block.startswith("time/"):
            for name in receipt.missing:
                counts = missing.setdefault(name, {"missing": 0, "cells": 0})
                counts["missing"] += receipt.missing[name]
                counts["cells"] += receipt.cells[name]
    blocks = {
        block: {
            "key": receipt.key,
            "base": keys[block].base,
            "inputs": keys[block].inputs,
            "objects": sorted(receipt.objects),
            "missing": receipt.missing,
            "cells": receipt.cells,
            "steps": receipt.steps,
        }
        for block, receipt in receipts.items()
    }
    value = {
        **manifest,
        "schema": SCHEMA,
        "blocks": blocks,
        "objects": {name: vars(each) for name, each in stored.items()},
        "missing": missing,
    }
    raw = readable(value)
    store.put(f"{prefix}/manifest.json", raw)
    return dict(json.loads(raw))


def _unproven(where: str) -> Problem:
    return Problem(
        "object-unproven",
        "the structure and the ledger do not name the same objects",
        where,
        "readers would see fill values, or an object that nothing reads",
        "this is a fault of the job: please report it",
    )


def check_sizes(store: Store, prefix: str, stored: Mapping[str, Stored]) -> list[Problem]:
    """Problems of objects that are absent or of another size than recorded (one HEAD each)."""

    def check(name: str) -> Problem | None:
        found = store.head(f"{prefix}/{name}")
        if found is not None and found.bytes == stored[name].bytes:
            return None
        what = (
            "the object is missing" if found is None else f"{found.bytes} bytes where {stored[name].bytes} were written"
        )
        code = "object-missing" if found is None else "object-size"
        return Problem(
            code, what, f"{prefix}/{name}", "readers would see fill values or errors", "`cube build --repair`"
        )

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return [problem for problem in pool.map(check, sorted(stored)) if problem]
