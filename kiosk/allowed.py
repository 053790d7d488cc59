"""What a value may be, in words for a person: read off the schema, so that words and checks cannot differ.

Pure. A ``Meta(description=…)`` speaks for its type; where there is none the words are made from the type's limits.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec.inspect as schema

SHOWN_CHARS = 100


def allowed(root: type, key: str) -> str:
    """What may stand at *key* (``"bed.group"``, ``"desk.seats[0].name"``) of *root*, a ``msgspec.Struct``."""
    kind, section = schema.type_info(root), ""
    for part in re.findall(r"[^.\[\]]+", key):
        kind = _table_or_list(kind)
        if isinstance(kind, schema.VarTupleType):
            kind = kind.item_type
        elif isinstance(kind, schema.StructType):
            fields = {field.encode_name: field.type for field in kind.fields}
            if part not in fields:
                return f"{section or 'the file'} has {', '.join(fields)}"
            kind, section = fields[part], f"{section}.{part}".removeprefix(".")
        else:
            break
    return in_words(kind)


def in_words(kind: schema.Type) -> str:
    """What a value of *kind* looks like."""
    if isinstance(kind, schema.Metadata):
        told = (kind.extra_json_schema or {}).get("description")
        return str(told) if told else in_words(kind.type)
    if isinstance(kind, schema.UnionType):
        return " or ".join(in_words(part) for part in kind.types if not isinstance(part, schema.NoneType))
    if isinstance(kind, schema.LiteralType):
        return " or ".join(shown(value) for value in kind.values)
    if isinstance(kind, schema.BoolType):
        return "true or false"
    if isinstance(kind, schema.IntType):
        return "a whole number" + _limits(kind)
    if isinstance(kind, schema.FloatType):
        return "a number" + _limits(kind)
    if isinstance(kind, schema.StrType):
        most = "" if kind.max_length is None else f" of at most {kind.max_length} characters"
        return f"text in quotes{most}"
    if isinstance(kind, schema.VarTupleType):
        return f"a list [ … ], each {in_words(kind.item_type)}"
    if isinstance(kind, schema.DictType):
        return f"a table {{ KEY = VALUE, … }}, each key and each value {in_words(kind.value_type)}"
    assert isinstance(kind, schema.StructType), f"no words for {kind}"
    return f"a table of {', '.join(field.encode_name for field in kind.fields)}"


def shown(value: object) -> str:
    """*value* as it would be written in the file, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _table_or_list(kind: schema.Type) -> schema.Type:
    return kind.type if isinstance(kind, schema.Metadata) else kind


def _limits(kind: schema.IntType | schema.FloatType) -> str:
    words = ""
    if kind.gt is not None:
        words += f" above {_plain(kind.gt)}"
    if kind.ge is not None:
        words += f" from {_plain(kind.ge)}"
    if kind.le is not None:
        words += f" to {_plain(kind.le)}"
    if kind.multiple_of is not None:
        words += f", a multiple of {_plain(kind.multiple_of)}"
    return words


def _plain(number: Any) -> str:
    return f"{number:.12g}"
