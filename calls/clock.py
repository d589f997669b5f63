"""The wall clock, in the two forms the contract needs."""

from datetime import UTC, datetime


def now() -> datetime:
    """This moment, in UTC, cut to milliseconds as the contract writes times."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def text(moment: datetime) -> str:
    """`2026-02-03T09:00:00.131Z`. Source: contract, rules of REST, "Times"."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
