"""What a SpeakSentence says, written out again from its nodes: nothing of the sender's own XML survives.

Element names lose their namespace; attributes of foreign namespaces are dropped, `xml:lang` stays.
"""

import re
from xml.sax.saxutils import escape, quoteattr

from bxml import safe
from bxml.errors import BxmlError
from bxml.safe import Node

_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


def inside(node: Node) -> str:
    """The content of `node` as well-formed XML, blanks around it trimmed; "" when it would say nothing.

    Some SDKs send SSML as escaped text: where text without elements holds tags that parse, they are taken for
    tags; where they do not parse they are characters to speak.
    """
    if not node.children and "<" in node.text:
        node = _unescaped(node.text) or node
    return _written(node).strip()


def _unescaped(text: str) -> Node | None:
    # Escaped once more than it should be, an ampersand may stand for itself.
    text = _BARE_AMPERSAND.sub("&amp;", text)
    try:
        node = safe.read(f"<SpeakSentence>{text}</SpeakSentence>")
    except BxmlError:
        return None
    return node if node.children else None


def _written(node: Node) -> str:
    return "".join(escape(part) if isinstance(part, str) else _element(part) for part in node.content)


def _element(node: Node) -> str:
    name = _local(node.name)
    attributes = "".join(
        f" {key}={quoteattr(value)}" for key, value in node.attributes.items() if not key.startswith("{")
    )
    content = _written(node)
    return f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"


def _local(name: str) -> str:
    return name.rpartition("}")[2]
