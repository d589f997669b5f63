"""Which prompts the media process holds."""

import os

from media.library import Library
from media.messages import Forget


def found(library: Library, samples: bytes) -> tuple[int, bool]:
    """(number, whether it had to cross)."""
    number, crossing = library.find(samples)
    if crossing is not None:
        os.close(crossing.descriptor)
    return number, crossing is not None


def test_a_prompt_crosses_once() -> None:
    library = Library()
    assert found(library, b"hello.") == (1, True)
    assert found(library, b"hello.") == (1, False)
    assert found(library, b"other.") == (2, True)


def test_the_least_used_is_forgotten_first() -> None:
    library = Library(max_bytes=25)
    for samples in (b"a" * 10, b"b" * 10, b"a" * 10, b"c" * 10):
        found(library, samples)
    assert list(library.excess()) == [Forget(2)]
    assert found(library, b"a" * 10) == (1, False)
    assert found(library, b"b" * 10) == (4, True)


def test_one_prompt_larger_than_all_is_kept_while_it_is_the_newest() -> None:
    library = Library(max_bytes=5)
    found(library, b"a" * 10)
    assert list(library.excess()) == []
    found(library, b"b" * 10)
    assert list(library.excess()) == [Forget(1)]


def test_a_new_process_is_given_everything_anew() -> None:
    library = Library()
    found(library, b"hello.")
    library.clear()
    assert found(library, b"hello.") == (2, True)
