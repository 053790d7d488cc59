"""Writes the JSON Schema of the wire from the structs that both ends use, so that it cannot differ from them.

``scripts/documents`` keeps it as ``wire.schema.json`` beside this file, for readers.
"""

from __future__ import annotations

import json
from types import UnionType
from typing import Any

import msgspec

from kiosk.signaling import messages as wire

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIRECTIONS: dict[str, UnionType] = {
    "from_kiosk": wire.FromKiosk,
    "to_kiosk": wire.ToKiosk,
    "from_seat": wire.FromSeat,
    "to_seat": wire.ToSeat,
}


def wire_schema() -> dict[str, Any]:
    """One document: what may travel in each direction, and under ``$defs`` every message and part."""
    roots, definitions = msgspec.json.schema_components(DIRECTIONS.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "title": "Bedside kiosk: the wire between kiosk, desk and seat",
        "description": f"Version {wire.PROTOCOL_VERSION}. WIRE.md tells the story.",
        "properties": dict(zip(DIRECTIONS, roots, strict=True)),
        "$defs": definitions,
    }


def text() -> str:
    """The file's content."""
    return json.dumps(wire_schema(), indent=1, ensure_ascii=False) + "\n"
