"""What hostile XML gets: an error with a place, soon, and nothing else."""

import socket
from pathlib import Path

import pytest

import bxml
from bxml import safe

BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))

HOSTILE: dict[str, tuple[bytes | str, str]] = {
    "billion laughs": (
        f'<!DOCTYPE Response [<!ENTITY a0 "ha">{BOMB}]><Response><Tag>&a9;</Tag></Response>',
        "line 1, column 1: expected no document type or other declaration",
    ),
    "quadratic blow-up": (
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 30_000}">]>\n<Response><Tag>{"&a;" * 9_000}</Tag></Response>',
        "line 1, column 1: expected no document type or other declaration",
    ),
    "external entity, file": (
        '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Response><Tag>&a;</Tag></Response>',
        "line 2, column 1: expected no document type or other declaration",
    ),
    "parameter entity": (
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><Response/>',
        "line 1, column 1: expected no document type or other declaration",
    ),
    "document type in lower case": (
        "<!doctype html><Response/>",
        "line 1, column 1: expected no document type or other declaration",
    ),
    "document type behind a comment": (
        "<!-- -- > <?a ?> --><!DOCTYPE Response><Response/>",
        "line 1, column 21: expected no document type or other declaration",
    ),
    "entity without a declaration": (
        "<Response>&a;</Response>",
        "line 1, column 14: not well-formed XML: Entity 'a' not defined",
    ),
    "entity in an attribute": (
        '<Response><Redirect redirectUrl="&a;"/></Response>',
        "line 1, column 37: not well-formed XML: Entity 'a' not defined",
    ),
    "UTF-16 with a mark": ("<Response/>".encode("utf-16"), "expected UTF-8, which ends at offset 0"),
    "UTF-16 without a mark": (
        "<Response/>".encode("utf-16-le"),
        "line 1, column 2: expected text, got a NUL character",
    ),
    "UTF-16 by its word": (
        "<?xml version='1.0' encoding='UTF-16'?><Response/>",
        'line 1, column 1: expected the encoding UTF-8, got "UTF-16"',
    ),
    "UTF-7 by its word": (
        b'<?xml version="1.0" encoding="UTF-7"?>+ADw-Response/+AD4-',
        'line 1, column 1: expected the encoding UTF-8, got "UTF-7"',
    ),
    "UTF-7 without a word": (
        b"+ADw-Response/+AD4-",
        "line 1, column 1: not well-formed XML: Start tag expected, '<' not found",
    ),
    "EBCDIC": ("<Response/>".encode("cp500"), "expected UTF-8, which ends at offset 3"),
    "broken UTF-8": (b"<Response>\xc3\x28</Response>", "expected UTF-8, which ends at offset 10"),
    "half a surrogate pair": ("<Response>\ud800</Response>", "expected UTF-8, which ends at offset 10"),
    "NUL": ("<Response>\n <Hangup/>\0</Response>", "line 2, column 11: expected text, got a NUL character"),
    "NUL by reference": ("<Response>&#0;</Response>", "line 1, column 15: not well-formed XML: "),
    "control character": ("<Response>\x01</Response>", "line 1, column 11: not well-formed XML: "),
    "nothing": ("", "line 1, column 1: not well-formed XML: Document is empty"),
    "blanks": (b"  \n ", "not well-formed XML: "),
    "text": ("hello", "line 1, column 1: not well-formed XML: Start tag expected, '<' not found"),
    "JSON": ('{"eventType": "x"}', "line 1, column 1: not well-formed XML: Start tag expected, '<' not"),
    "unclosed": (
        "<Response>",
        "line 1, column 11: not well-formed XML: Premature end of data in tag",
    ),
    "unclosed comment": ("<Response><!-- </Response>", "not well-formed XML: "),
    "two roots": ("<Response/>\n<Response/>", "line 2, column 1: not well-formed XML: Extra content"),
    "mismatched tags": (
        "<Response>\n<Hangup></Response>",
        "line 2, column 20: not well-formed XML: Opening and ending tag mismatch: Hangup line 2 and Response",
    ),
    "an attribute twice": (
        '<Response><Pause duration="1" duration="2"/></Response>',
        "not well-formed XML: Attribute duration redefined",
    ),
    "a prefix without a namespace": (
        "<Response><xi:a/></Response>",
        "Namespace prefix xi on a is not defined",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused_with_its_place(name: str) -> None:
    document, expected = HOSTILE[name]
    with pytest.raises(bxml.BxmlError) as raised:
        bxml.parse(document)
    assert expected in str(raised.value)
    assert str(raised.value) == str(bxml.lint(document)[0][0])


def test_an_external_entity_is_never_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for document in (
            f'<!DOCTYPE x SYSTEM "{url}"><Response/>',
            f'<!DOCTYPE x [<!ENTITY a SYSTEM "{url}">]><Response>&a;</Response>',
            f'<?xml-stylesheet href="{url}" type="text/xsl"?><Response/>',
            f'<Response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a {url}"/>',
            f'<Response><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}"/></Response>',
        ):
            bxml.lint(document)[0]
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_inclusion_is_a_verb_nobody_knows(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    document = (
        '<Response xmlns:xi="http://www.w3.org/2001/XInclude">'
        f'<xi:include href="{secret.as_uri()}" parse="text"/></Response>'
    )
    with pytest.raises(bxml.BxmlError, match=r"XInclude\}include> is not a verb$"):
        bxml.parse(document)


def test_processing_instructions_and_comments_are_passed_over() -> None:
    document = "<?a <b> ?><Response><!-- <Foo> & --><?php ?><Tag>a<!-- b -->c<?d?></Tag></Response><!-- -->"
    (tag,) = bxml.parse(document).verbs
    assert tag == bxml.parse("<Response><Tag>ac</Tag></Response>").verbs[0]
    assert tag.at == (1, document.index("<Tag") + 1)


def test_cdata_is_text() -> None:
    (verb,) = bxml.parse("<Response><Tag> <![CDATA[ <!DOCTYPE x> & <Foo> ]]> </Tag></Response>").verbs
    assert verb == bxml.parse("<Response><Tag>&lt;!DOCTYPE x> &amp; &lt;Foo></Tag></Response>").verbs[0]


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "utf8", "US-ASCII"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_declaration_of_utf_8_is_taken_in_every_spelling(encoding: str, quote: str) -> None:
    declaration = (
        f"<?xml version={quote}1.0{quote} encoding={quote}{encoding}{quote} standalone={quote}yes{quote} ?>"
    )
    for document in (f"{declaration}\n<Response><Tag>ü</Tag></Response>",):
        assert bxml.parse(document) == bxml.parse(document.encode()) == bxml.parse("\ufeff" + document)


def filled(size: int) -> str:
    return f"<Response><!--{'x' * (size - len('<Response><!----></Response>'))}--></Response>"


def test_the_size_is_counted_in_bytes() -> None:
    assert bxml.parse(filled(64 * 1024)) == bxml.parse(filled(64 * 1024).encode())
    for document in (filled(64 * 1024 + 1), filled(60_000).replace("x", "ü")):
        with pytest.raises(bxml.BxmlError, match=r"^expected at most 65536 bytes, got "):
            bxml.parse(document)


def nested(depth: int) -> str:
    return "<Response>" + "<p>" * (depth - 1) + "</p>" * (depth - 1) + "</Response>"


def test_elements_nest_32_deep_and_no_deeper() -> None:
    assert safe.read(nested(32)).name == "Response"
    with pytest.raises(bxml.BxmlError, match="column 104: expected elements nested at most 32 deep"):
        safe.read(nested(33))
    with pytest.raises(bxml.BxmlError):
        safe.read(nested(9_000))


def with_attributes(count: int) -> str:
    names = " ".join(f"a{n}=''" for n in range(count))
    return f"<Response {names}/>"


def test_an_element_has_64_attributes_and_no_more() -> None:
    assert len(safe.read(with_attributes(64)).attributes) == 64
    with pytest.raises(
        bxml.BxmlError, match=r"^line 1, column 1: <Response>: expected at most 64 attributes, got 65"
    ):
        safe.read(with_attributes(65))


@pytest.mark.parametrize("piece", ["<Hangup/>", "<!---->", "<?a?>"])
def test_a_document_has_2000_nodes_and_no_more(piece: str) -> None:
    safe.read(f"<Response>{piece * 1_999}</Response>")
    with pytest.raises(bxml.BxmlError, match="expected at most 2000 elements and comments"):
        safe.read(f"<Response>{piece * 2_000}</Response>")


LARGE = {
    "100 k depth": "<a>" * 100_000 + "</a>" * 100_000,
    "100 k attributes": with_attributes(100_000),
    "depth": nested(9_000),
    "attributes": with_attributes(7_000),
    "namespaces": with_attributes(4_000).replace("a", "xmlns:a"),
    "unknown attributes": "<Response>"
    + ('<Hangup a="" b="" c="" d="" e="" f="" g=""/>' * 1_400)
    + "</Response>",
    "unknown verbs": "<Response>" + "<abcdefghijklmnopqrst/>" * 1_990 + "</Response>",
    "comments that never end": "<Response>" + "<!--" * 16_000,
    "sections that never end": "<Response>" + "<![CDATA[" * 7_000,
    "instructions that never end": "<Response>" + "<?" * 32_000,
    "declaration that never ends": "<?xml " + "encoding " * 7_000,
    "brackets": "<" * 65_000,
    "line breaks": "<Response>" + "\n" * 65_000 + "</Response>",
    "bare elements on lines": "<Response>" + "\n<Hangup/>" * 1_999 + "\n" * 40_000 + "</Response>",
    "ampersands": f"<Response><SpeakSentence>{'&amp;' * 12_000}&lt;b&gt;</SpeakSentence></Response>",
    "escaped tags": f"<Response><SpeakSentence>{'&lt;b&gt;' * 7_000}</SpeakSentence></Response>",
    "a long URL": f'<Response><Redirect redirectUrl="{"@" * 60_000}"/></Response>',
    "a long host": f'<Response><Redirect redirectUrl="http://{"[" * 60_000}"/></Response>',
    "a long number": f'<Response><Pause duration="{"1" * 60_000}"/></Response>',
    "a long name": f"<Response><Conference>{'a' * 60_000}</Conference></Response>",
    "a long SIP URI": f"<Response><Transfer><SipUri>sip:{'a@' * 30_000}</SipUri></Transfer></Response>",
    "a long list": f'<Response><Conference callIdsToCoach="{"," * 60_000}">a</Conference></Response>',
    "a long tag name": f"<{'a' * 65_000}/>",
}


@pytest.mark.timeout(20)  # each takes some hundredths of a second, and what goes by the square of it minutes
@pytest.mark.parametrize("name", LARGE)
def test_large_nonsense_does_not_hold_up_who_reads_it(name: str) -> None:
    errors = bxml.lint(LARGE[name])[0]
    assert all(len(str(error)) < 500 for error in errors)
