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
    that end. Source: contract, applications.
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


class Applications:
    """All of them, in the order of the configuration."""

    def __init__(self, applications: Iterable[Application]) -> None:
        self._by_id = {application.id: application for application in applications}

    def adopt(self, applications: Iterable[Application]) -> None:
        """Others from now on."""
        self._by_id = {application.id: application for application in applications}

    def find(self, account: str, identifier: str) -> Application | None:
        """The one of this id, if it is this account's."""
        found = self._by_id.get(identifier)
        return found if found is not None and found.account == account else None

    def called(self, user: str) -> Application | None:
        """The first one of whose patterns matches the called user."""
        for application in self._by_id.values():
            if any(fnmatchcase(user, pattern) for pattern in application.numbers):
                return application
        return None
