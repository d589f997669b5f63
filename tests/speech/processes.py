"""What Linux tells about processes."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are still there, zombies included."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Is there a process of this number that has not ended?"""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def environment(pid: int) -> bytes:
    """What the process was given as its environment."""
    return Path(f"/proc/{pid}/environ").read_bytes()
