"""Applications: what answers a call, found by the number that was called."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from calls.callbacks import Callback

# Spoken and performed when nothing else is configured: sip:NAME@host joins the conference NAME.
BUILT_IN = (
    "<Response><SpeakSentence>Joining the conference now.</SpeakSentence>"
    "<Conference>{user}</Conference></Response>"
)

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Application:
    """One voice application.

    `initiated` is asked for the first document of an inbound call; where it is None, `document`
    answers instead, with `{user}` standing for the called user. `status` is told of inbound calls
    that end. Source: contract rest.md section 6.
    """

    id: str
    account: str
    numbers: tuple[str, ...]
    initiated: Callback | None = None
    document: str = BUILT_IN
    status: Callback | None = None
    callback_timeout: float = 15.0

    def document_for(self, user: str) -> str:
        """The document from disk, with the called user written as a conference name may be."""
        name = _NOT_IN_A_NAME.sub("_", user)[:_LONGEST_NAME]
        return self.document.replace("{user}", name)


def called(applications: Iterable[Application], user: str) -> Application | None:
    """The first application that one of whose patterns matches the called user."""
    for application in applications:
        if any(fnmatchcase(user, pattern) for pattern in application.numbers):
            return application
    return None
