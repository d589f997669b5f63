"""Whatever comes in: a document or a BxmlError, never anything else."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import bxml
from bxml import BxmlError, Document
from bxml.verbs import VERBS, SpeakSentence
from tests.bxml.table import ROWS

DOCUMENTS = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("documents/*/*.xml"))]
PIECES = [
    *(
        "<",
        ">",
        "/>",
        "</",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!",
        "&",
        "&amp;",
        "&lt;",
        "&#10;",
        ";",
    ),
    *(
        "<Response>",
        "</Response>",
        "<Bxml>",
        "<!DOCTYPE x>",
        'xmlns:a="b"',
        "a:b",
        "=",
        '"',
        "'",
        " ",
        "\n",
        "\0",
        "ü",
    ),
    *(f"<{name}>" for name in VERBS),
    *(f"</{name}>" for name in VERBS),
]
NAMES = st.sampled_from(sorted(VERBS.keys() | {row.element for row in ROWS} | {"break", "Foo"}))
ATTRIBUTES = st.dictionaries(
    st.sampled_from(sorted({row.attribute for row in ROWS} | {"name", "foo"})),
    st.sampled_from(sorted({text for row in ROWS for text, _ in row.right if len(text) < 30} | {"http://["})),
    max_size=4,
)
QUOTE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def element(name: str, attributes: dict[str, str], inside: list[str]) -> str:
    written = "".join(f' {key}="{value.translate(QUOTE)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inside)}</{name}>"


TEXTS = st.one_of(st.just(""), st.text(max_size=12)).map(lambda text: text.translate(QUOTE))
ELEMENTS = st.recursive(
    TEXTS, lambda inside: st.builds(element, NAMES, ATTRIBUTES, st.lists(inside, max_size=3)), max_leaves=8
)


def read(text: bytes | str) -> Document | None:
    """The document, or None for an error; checked against `lint` and for what every error must have."""
    errors = bxml.lint(text)[0]
    try:
        document = bxml.parse(text)
    except BxmlError as error:
        assert str(error) == str(errors[0])
        assert all(each.line >= 0 and each.column >= 0 and len(str(each)) < 600 for each in errors)
        return None
    assert errors == []
    return document


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
@settings(max_examples=150, deadline=None)
def test_noise_is_refused(noise: bytes | str) -> None:
    # Hypothesis tries literals of our own code as well, and `<Response/>` is one of them.
    assert read(noise) in (None, Document())


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_shreds_of_documents_are_read_or_refused(shreds: str) -> None:
    read(shreds)
    read(f"<Response>{shreds}</Response>")
    read(f"<Response><SpeakSentence>{shreds}</SpeakSentence></Response>")


@given(st.sampled_from(DOCUMENTS), st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_documents_are_read_or_refused(document: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document)))
        cut = data.draw(st.integers(0, 8))
        document = document[:at] + data.draw(st.binary(max_size=4)) + document[at + cut :]
    read(document)


@given(st.lists(ELEMENTS, max_size=4))
@settings(max_examples=300, deadline=None)
def test_well_formed_nonsense_is_read_or_refused_and_resolves_or_not(inside: list[str]) -> None:
    document = read(element("Response", {}, inside))
    if document is not None:
        for base in ("https://a.example/b", None):
            try:
                document.resolve(base)
            except BxmlError as error:
                assert error.line >= 1


@given(ELEMENTS)
@settings(max_examples=200, deadline=None)
def test_what_a_sentence_keeps_means_the_same_when_read_again(inside: str) -> None:
    document = read(f"<Response><SpeakSentence>{inside}</SpeakSentence></Response>")
    if document is not None:
        (sentence,) = document.verbs
        assert isinstance(sentence, SpeakSentence)
        again = bxml.parse(f"<Response><SpeakSentence>{sentence.markup}</SpeakSentence></Response>")
        assert again.verbs == (sentence,)
