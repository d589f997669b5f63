"""What is wrong with a document, and where."""

import json


class BxmlError(ValueError):
    """A document that cannot be performed; the call that got it ends with the cause `invalid-bxml`.

    `message` names the element, the attribute and what was expected; `line` and `column` count characters
    from 1 and point at the element (or at the offending character of malformed XML); both are 0 for what
    concerns no place of the text.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message, line, column)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else self.message


def clipped(text: str, most: int = 60) -> str:
    """`text`, or its beginning and an ellipsis: what strangers send may be long."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(text: str) -> str:
    """`text` in quotation marks, clipped, with control characters written out."""
    return json.dumps(clipped(text), ensure_ascii=False)
