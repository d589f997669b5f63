"""When the next beat is due, and how many were missed. Absolute deadlines: no error adds up."""

PERIOD = 0.02


class Beat:
    """Deadlines `PERIOD` seconds apart, the first at `start` (seconds, monotonic)."""

    def __init__(self, start: float) -> None:
        self.deadline = start

    def begin(self, now: float) -> tuple[float, int]:
        """A beat begins at `now`. Returns (its deadline, beats to skip before it): late by less than a
        period it is run as it is; later, whole periods are left out."""
        late = now - self.deadline
        skipped = int(late / PERIOD) if late >= PERIOD else 0
        deadline = self.deadline + skipped * PERIOD
        self.deadline = deadline + PERIOD
        return deadline, skipped
