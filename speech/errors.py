"""What can go wrong with a prompt. The text may go into an event's errorMessage: it holds no credentials."""


class PromptError(Exception):
    """No prompt came of it."""


class SpeechError(PromptError):
    """A sentence could not be spoken."""


class AudioError(PromptError):
    """An audio file could not be fetched or is not one of the contract's kinds."""
