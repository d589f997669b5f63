"""The page at /docs: the OpenAPI document as plain HTML, without scripts, so that it works offline."""

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid #ccc; border-radius: 4px; margin: .4rem 0; padding: .3rem .8rem; }
summary { cursor: pointer; }
b.method { display: inline-block; width: 4rem; font-family: monospace; }
code { font-family: monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""

Schema = dict[str, Any]


def page(document: Schema) -> str:
    """The whole page for an OpenAPI document."""
    title = escape(document["info"]["title"])
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["Server"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation, document))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title} {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info'].get('description', ''))}</p>"
        '<p>The same as an <a href="/openapi.json">OpenAPI document</a>.</p>'
        f"{sections}</body></html>"
    )


def _operation(path: str, method: str, operation: Schema, document: Schema) -> str:
    name = escape(operation.get("operationId", ""))
    parts = [f"<p>{escape(operation.get('description', ''))}</p>", f"<p>operationId <code>{name}</code></p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [(p["name"], p["in"], _kind(p["schema"]), p.get("description", "")) for p in parameters]
        parts.append(_table(("Parameter", "In", "Type", ""), rows))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: <code>{escape(media_type)}</code></p>{_fields(content['schema'], document)}")
    for status, response in operation["responses"].items():
        parts.append(f"<p><b>{escape(status)}</b> {escape(response.get('description', ''))}</p>")
        for content in response.get("content", {}).values():
            if status.startswith("2"):
                parts.append(_fields(content.get("schema", {}), document))
    return (
        f'<details><summary><b class="method">{escape(method.upper())}</b> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary', ''))}</summary>{''.join(parts)}</details>"
    )


def _fields(schema: Schema, document: Schema) -> str:
    """A table of an object's fields; nothing for other types."""
    found = schema.get("items", schema)
    if "$ref" in found:
        found = document["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    required = found.get("required", [])
    rows = [
        (name, _kind(field), "required" if name in required else "", field.get("description", ""))
        for name, field in found.get("properties", {}).items()
    ]
    return _table(("Field", "Type", "", ""), rows) if rows else ""


def _kind(schema: Schema) -> str:
    """A short word for a schema: `string`, `GET | POST`, `array of string`, a model's name."""
    if "anyOf" in schema:
        return " | ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any"))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
