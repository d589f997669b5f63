"""What is right in a document and yet not what its author wants, for `lint`."""

from collections.abc import Iterator

from bxml.document import Document
from bxml.element import Verb
from bxml.errors import BxmlError
from bxml.runner import IDLE, PERFORMED
from bxml.verbs import Bridge, Forward, Gather, Hangup, Redirect, Refer, Ring, Transfer


def remarks(document: Document, *, conference: bool) -> Iterator[BxmlError]:
    """Verbs that are not performed, and those that are never come to; `conference`: it is to run in one."""
    outcome = "it is skipped" if conference else "a call that comes to it ends with application-error"
    before: list[Verb] = []
    for verb in document.verbs:
        name = _name(verb)
        if type(verb) not in PERFORMED | IDLE:
            yield BxmlError(f"{name} is not supported: {outcome}", *verb.at)
        elif isinstance(verb, Gather) and verb.input == "speech":
            yield BxmlError(f"{name} attribute input: speech is not supported: {outcome}", *verb.at)
        elif isinstance(verb, Gather) and verb.input == "dtmf_speech":
            yield BxmlError(f"{name} attribute input: speech is not supported: digits are taken", *verb.at)
        elif isinstance(verb, Forward) and (cause := next(filter(_answers, before), None)) is not None:
            message = f"{name} comes after {_name(cause)}, which answers the call: {outcome}"
            yield BxmlError(message, *verb.at)
        if before and _is_last(before[-1]):
            yield BxmlError(f"{name} is never come to: {_name(before[-1])} ends the document", *verb.at)
            return
        before.append(verb)


def _answers(verb: Verb) -> bool:
    return verb.answer_call if isinstance(verb, Ring) else verb.answers


def _is_last(verb: Verb) -> bool:
    """Whether what follows is another document or nothing (contract, how a call executes BXML)."""
    match verb:
        case Hangup() | Redirect() | Forward():
            return True
        case Gather():
            return verb.gather_url is not None
        case Bridge():
            return verb.bridge_complete_url is not None
        case Transfer():
            return verb.transfer_complete_url is not None
        case Refer():
            return verb.refer_complete_url is not None
        case _:
            return False


def _name(verb: Verb) -> str:
    return f"<{type(verb).__name__}>"
