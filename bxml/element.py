"""What every element is made of, and how its declaration is read.

An element is a frozen dataclass. Its fields are its attributes; the markers of `bxml.attributes` say which
field its text and which its child elements fill. `schema` reads all that from the type hints, so that the
parser needs to know no verb.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

from bxml.attributes import Children, Content, Markup, Password, Rule, TagText, Username


@dataclass(frozen=True, kw_only=True)
class Element:
    """`at` is the line and the column of the element in its document; it does not count in comparisons."""

    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    # Attributes seen in documents of real clients, each with the field it means; the right one wins.
    aliases: ClassVar[Mapping[str, str]] = {}
    # Attributes beside which others say nothing, not even something wrong.
    overrides: ClassVar[Mapping[str, frozenset[str]]] = {}

    def faults(self) -> Iterable[str]:
        """What is wrong between fields that are right each for itself."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Verb(Element):
    """An element that the root of a document may hold."""

    answers: ClassVar[bool] = False  # an inbound call that is not answered yet is answered first
    for_conferences: ClassVar[bool] = False  # legal in a conference document


@dataclass(frozen=True, kw_only=True)
class Credentials(Element):
    """HTTP Basic credentials of the verb's URL or URLs."""

    username: Username | None = field(default=None, repr=False)
    password: Password | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class FallbackCredentials(Credentials):
    """The same, and those of the fallback URL or URLs."""

    fallback_username: Username | None = field(default=None, repr=False)
    fallback_password: Password | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Tagged(Element):
    """A verb that may set the tag of the call: None leaves the tag as it is, "" clears it."""

    tag: TagText | None = None


@dataclass(frozen=True)
class Slot:
    """A field that one attribute, or the text, fills by its rule. `place` is its name for errors."""

    field: str
    place: str
    rule: Rule
    required: bool


@dataclass(frozen=True)
class Nest:
    """The field that the child elements fill: their classes by element name, and how many there may be."""

    field: str
    elements: Mapping[str, type[Element]]
    count: Children


@dataclass(frozen=True)
class Schema:
    """An element's declaration. Attributes are keyed by their name in XML."""

    attributes: Mapping[str, Slot]
    text: Slot | None
    markup: Slot | None
    nest: Nest | None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Attributes, then the text, of whichever kind."""
        return tuple(slot for slot in (*self.attributes.values(), self.text, self.markup) if slot)


_schemas: dict[type[Element], Schema] = {}


def schema(element: type[Element]) -> Schema:
    """The declaration of `element`, read from its type hints once."""
    if element not in _schemas:
        _schemas[element] = _declaration(element)
    return _schemas[element]


def _declaration(element: type[Element]) -> Schema:
    attributes: dict[str, Slot] = {}
    text = markup = nest = None
    hints = get_type_hints(element, include_extras=True)
    for each in dataclasses.fields(element):
        required = each.default is MISSING
        match _marks(hints[each.name]):
            case (Children() as count,):
                classes = _classes(hints[each.name])
                nest = Nest(each.name, {cls.__name__: cls for cls in classes}, count)
            case (rule, Markup()):
                markup = Slot(each.name, "text", rule, required)
            case (rule, Content()):
                text = Slot(each.name, "text", rule, required)
            case (rule,):
                name = _camel(each.name)
                attributes[name] = Slot(each.name, f"attribute {name}", rule, required)
    return Schema(attributes, text, markup, nest)


def _marks(hint: Any) -> tuple[Any, ...]:
    """The marks of `Annotated[type, *marks]`, also where it is `Annotated[...] | None`."""
    options = (hint, *get_args(hint))
    return next((each.__metadata__ for each in options if get_origin(each) is Annotated), ())


def _classes(hint: Any) -> tuple[type[Element], ...]:
    """The classes in `Annotated[tuple[A | B, ...], Children()]`."""
    (item, _) = get_args(get_args(hint)[0])
    return get_args(item) or (item,)


def _camel(name: str) -> str:
    """The name in XML of a field: `redirect_url` is redirectUrl; `from_` avoids Python's keyword."""
    first, *others = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)
