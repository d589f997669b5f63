"""What a sentence keeps of its tags."""

import pytest

import bxml
from bxml.verbs import SpeakSentence


def markup(inside: str) -> str:
    (verb,) = bxml.parse(f"<Response><SpeakSentence>{inside}</SpeakSentence></Response>").verbs
    assert isinstance(verb, SpeakSentence)
    return verb.markup


@pytest.mark.parametrize(
    ("inside", "kept"),
    [
        ("Hello", "Hello"),
        (" Hello\n  you ", "Hello\n  you"),
        ("Tom &amp; Jerry &lt; 3", "Tom &amp; Jerry &lt; 3"),
        ("<![CDATA[a < b & c]]>", "a &lt; b &amp; c"),
        ('One <break time="1s"/> two', 'One <break time="1s"/> two'),
        ("<p><s>One.</s><s>Two.</s></p>", "<p><s>One.</s><s>Two.</s></p>"),
        ('<lang xml:lang="fr-FR">Oui</lang>', '<lang xml:lang="fr-FR">Oui</lang>'),
        ("<sub alias='\"a\" &amp; b'>c</sub>", "<sub alias='\"a\" &amp; b'>c</sub>"),
        ("<break></break>", "<break/>"),
        ("a<!-- <b> -->b<?c?>", "ab"),
        ("<marquee>still spoken</marquee>", "<marquee>still spoken</marquee>"),
        ('<x:s xmlns:x="urn:x" x:y="z" w="v">a</x:s>', '<s w="v">a</s>'),
        ('<speak xmlns="http://www.w3.org/2001/10/synthesis">a</speak>', "<speak>a</speak>"),
    ],
)
def test_tags_are_written_out_again(inside: str, kept: str) -> None:
    assert markup(inside) == kept


@pytest.mark.parametrize(
    ("inside", "kept"),
    [
        ('One &lt;break time="1s"/&gt; two', 'One <break time="1s"/> two'),
        ("&lt;s&gt;One&lt;/s&gt; &amp; two", "<s>One</s> &amp; two"),
        ("&lt;s&gt;One &amp;amp; two &amp;lt; 3&lt;/s&gt;", "<s>One &amp; two &lt; 3</s>"),
        ("<![CDATA[One <break/> two]]>", "One <break/> two"),
    ],
)
def test_escaped_tags_that_parse_are_tags(inside: str, kept: str) -> None:
    assert markup(inside) == kept


@pytest.mark.parametrize(
    "inside",
    [
        "5 &lt; 6 and 7 &gt; 3",
        "press &lt;star&gt; now",
        "&lt;s&gt;One",
        "&lt;/SpeakSentence&gt;&lt;SpeakSentence&gt;",
        "&lt;!-- hidden --&gt; no tag",
        "&lt;!DOCTYPE a [&lt;!ENTITY b 'c'&gt;]&gt; &lt;s&gt;d&lt;/s&gt;",
        f"{'&lt;s&gt;' * 40}deep{'&lt;/s&gt;' * 40}",
    ],
)
def test_escaped_tags_that_do_not_parse_are_text(inside: str) -> None:
    assert markup(inside) == inside


def test_text_beside_real_tags_stays_as_it_is() -> None:
    assert markup("<s>One</s> &lt;s&gt;two&lt;/s&gt;") == "<s>One</s> &lt;s&gt;two&lt;/s&gt;"


def test_a_pause_alone_is_a_sentence() -> None:
    assert markup('<break time="2s"/>') == '<break time="2s"/>'
