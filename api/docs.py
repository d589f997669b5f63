"""The page at /docs: the OpenAPI document as plain HTML, without scripts, so that it works offline."""

import json
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
    parts = [f"<p>{escape(operation['description'])}</p>"] if "description" in operation else []
    parts.append(f"<p>operationId <code>{escape(operation.get('operationId', ''))}</code></p>")
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [(p["name"], p["in"], *_value(p["schema"]), _meaning(p)) for p in parameters]
        parts.append(_table(("Parameter", "In", "Type", "", ""), rows))
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
    """A table of an object's fields, and of those of each object that these name; nothing for other types."""
    models = document["components"]["schemas"]
    tables: list[str] = []
    waiting = dict.fromkeys(_models(schema))
    while len(tables) < len(waiting):
        name = list(waiting)[len(tables)]
        found = models[name]
        fields = found.get("properties", {})
        waiting |= dict.fromkeys(each for field in fields.values() for each in _models(field))
        required = found.get("required", [])
        rows = [
            (field, *_value(value), "required" if field in required else "", _meaning(value))
            for field, value in fields.items()
        ]
        head = f"<p><code>{escape(name)}</code> {escape(found.get('description', ''))}</p>" if tables else ""
        tables.append(head + _table(("Field", "Type", "", "", ""), rows))
    return "".join(tables)


def _models(schema: Schema) -> list[str]:
    """The objects that a value is, or has within."""
    if "$ref" in schema:
        return [schema["$ref"].rpartition("/")[2]]
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return [name for each in inner for name in _models(each)]


def _meaning(described: Schema) -> str:
    return str(described.get("description", ""))


def _value(schema: Schema) -> tuple[str, str]:
    """A short word for a schema (`GET | POST`, `array of string`, a model's name), its bounds and default."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    bounds = [_bounds(option) for option in options]
    if schema.get("default") not in (None, ""):
        bounds.append(f"default {_plain(schema['default'])}")
    shown = options if "default" in schema else schema.get("anyOf", [schema])
    kind = " | ".join(_kind(option) for option in shown)
    return kind, ", ".join(filter(None, bounds))


def _kind(schema: Schema) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))


def _bounds(schema: Schema) -> str:
    """`1 to 300`, `at least 0`, `at most 256 characters`."""
    if "minimum" in schema and "maximum" in schema:
        return f"{_plain(schema['minimum'])} to {_plain(schema['maximum'])}"
    if "minimum" in schema:
        return f"at least {_plain(schema['minimum'])}"
    return f"at most {schema['maxLength']} characters" if "maxLength" in schema else ""


def _plain(value: object) -> str:
    """As JSON has it, without the point of a whole number."""
    return json.dumps(value).removesuffix(".0").strip('"')


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
