"""Identifiers in the contract's shapes: `c-` calls, `conf-` conferences, plain UUIDs for errors.

Clients treat them as opaque; only their lengths (47 and 50 characters) are checked by some.
Source: contract, identifiers.
"""

import uuid

# One group of eight hexadecimal digits tells which start of the server made an id.
_START = uuid.uuid4().hex[:8]


def _identifier(prefix: str) -> str:
    return f"{prefix}-{_START}-{uuid.uuid4()}"


def call_id() -> str:
    return _identifier("c")


def conference_id() -> str:
    return _identifier("conf")


def error_id() -> str:
    return str(uuid.uuid4())
