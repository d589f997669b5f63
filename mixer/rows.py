"""Rows and handles."""

Handle = int
FRAME = 160


class Full(Exception):
    """Every row is in use."""
