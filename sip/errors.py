"""What the outside can do wrong."""


class SipError(Exception):
    """Bytes from the network that break the standard.

    `status` and `reason` are the response that a request of this kind deserves; `reason` is a phrase of ours
    and never repeats what was received.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
