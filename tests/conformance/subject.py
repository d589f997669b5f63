"""What is to be shown, as the code has it: elements, events, operations; and the tests that there are."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import create_app
from bxml import runner, verbs
from bxml.element import schema

ROOT = Path(__file__).parents[2]
ITSELF, TEXT, CHILDREN = "(itself)", "(text)", "(children)"

# Elements that stand inside verbs.
INNER = ("CustomParam", "Endpoint", "PhoneNumber", "SipUri", "StreamParam")


def elements() -> dict[str, list[str]]:
    """Each element of BXML with the names of its rows: itself, its text, its children, its attributes."""
    found = {}
    for name in sorted({*verbs.VERBS, *INNER}):
        declared = schema(getattr(verbs, name))
        found[name] = [
            ITSELF,
            *([TEXT] if declared.text or declared.markup else []),
            *([CHILDREN] if declared.nest else []),
            *declared.attributes,
        ]
    return found


def performed() -> set[str]:
    """The verbs that a call performs."""
    return {verb.__name__ for verb in runner.PERFORMED}


def events() -> set[str]:
    """The event types that calls/ builds."""
    found = set()
    for file in sorted((ROOT / "calls").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="event"), args=[ast.Constant(value=str(name)), *_]):
                    found.add(name)
                case ast.arg(arg="farewell", annotation=ast.Subscript(slice=ast.Tuple(elts=names))):
                    found |= {str(each.value) for each in names if isinstance(each, ast.Constant)}
    return found


def operations() -> Iterator[tuple[str, str, str, int]]:
    """Operation, method, path and status of everything that the OpenAPI document promises."""
    # No request is made, so nobody is behind it.
    nobody: Any = None
    app = create_app(
        nobody, nobody, courier=nobody, health=dict, metrics=bytes, public_url="http://localhost", version="0"
    )
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            for status in sorted(operation["responses"]):
                yield operation["operationId"], method.upper(), path, int(status)


def tests() -> set[str]:
    """The node ids of all test functions, without parameters, read from their source."""
    return {
        f"{file.relative_to(ROOT).as_posix()}::{node.name}"
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
