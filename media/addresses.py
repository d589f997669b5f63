"""Addresses as control names them to the media process: texts here, numbers there (`rtp.addresses`)."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from media import messages
from rtp.addresses import FIRST, SIZE


class AddressNotSupported(ValueError):
    """A media address of a family that the sockets of the media process do not carry."""


class Addresses:
    """`bound`: where the sockets are, which says the family they carry; :: carries both. `tell` sends a
    command to the media process; `held` gives the addresses of live legs, whose numbers they keep."""

    def __init__(
        self, bound: str, tell: Callable[[messages.Command], None], held: Callable[[], set[str]] = set
    ) -> None:
        self._held = held
        self._four = ":" not in bound or bound == "::"
        self._six = ":" in bound
        self._tell = tell
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._texts: dict[int, str] = {}
        self._told: set[int] = set()

    def carries(self, address: str) -> bool:
        """Whether packets can go to this address and come from it."""
        try:
            return self._six if _parsed(address).version == 6 else self._four
        except ValueError:
            return False

    def number(self, address: str) -> int:
        """Its number, which the media process knows from then on. Raises AddressNotSupported."""
        if not self.carries(address):
            family = "IPv6" if self._six else "IPv4"
            raise AddressNotSupported(f"RTP is carried over {family} only, got {address}")
        whole = _parsed(address)
        if whole.version == 4:
            return int(whole)
        text = str(whole)
        number = self._numbers.get(text) or self._free(text)
        self._numbers.move_to_end(text)
        if number not in self._told:
            self._told.add(number)
            self._tell(messages.Name(number, whole.packed))
        return number

    def text(self, number: int) -> str:
        """The address of a number, as SDP writes it."""
        return self._texts[number] if number in self._texts else str(IPv4Address(number))

    def forget(self) -> None:
        """Another media process has begun, which knows none."""
        self._told.clear()

    def _free(self, text: str) -> int:
        """A number for an address that has none; once all are given out, the one used longest ago of those
        that no leg has. Raises AddressNotSupported."""
        if len(self._numbers) < SIZE:
            number = FIRST + len(self._numbers)
        else:
            held = {str(_parsed(address)) for address in self._held()}
            former = next((known for known in self._numbers if known not in held), None)
            if former is None:
                raise AddressNotSupported(f"all {SIZE} numbers of IPv6 addresses are in use")
            number = self._numbers.pop(former)
            self._told.discard(number)
        self._numbers[text] = number
        self._texts[number] = text
        return number


def _parsed(address: str) -> IPv4Address | IPv6Address:
    """IPv4 that a socket of both families has written as IPv6 is IPv4. Raises ValueError."""
    parsed = ip_address(address)
    return (parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None) or parsed
