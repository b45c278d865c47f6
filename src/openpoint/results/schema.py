"""Building blocks of the JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def value(kind: str | list[str], doc: str, **more: Any) -> Schema:
    return {"type": kind, "description": doc, **more}


def text(doc: str) -> Schema:
    return value("string", doc)


def number(doc: str) -> Schema:
    return value("number", doc)


def maybe(kind: str, doc: str) -> Schema:
    return value([kind, "null"], doc)


def whole(doc: str) -> Schema:
    return value("integer", doc, minimum=0)


def flag(doc: str) -> Schema:
    return value("boolean", doc)


def record(properties: Mapping[str, Schema], doc: str = "") -> Schema:
    """An object that has all of the properties and no others."""
    shape: Schema = {"type": "object"}
    if doc:
        shape["description"] = doc
    return shape | {"properties": dict(properties), "required": list(properties), "additionalProperties": False}


def listing(items: Schema, doc: str) -> Schema:
    return {"type": "array", "description": doc, "items": items}


def root(name: str, title: str, shape: Schema) -> Schema:
    """A whole schema, under the name by which it is published."""
    return {"$schema": DIALECT, "$id": f"urn:openpoint:schema:{name}", "title": title, **shape}


def names(doc: str) -> Schema:
    return listing({"type": "string"}, doc)
