"""sipp scenarios as lists of steps, for races whose messages differ in little.

A branch is named, so that a CANCEL can have that of its INVITE. Called by us, sipp keeps the INVITE's Via,
Contact and From in variables, since its own words know the last message alone.
"""

from dataclasses import dataclass

HEAD = '<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
SDP = (
    "v=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n"
    "m=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n"
)
CALLED = "<sip:[service]@[remote_ip]:[remote_port]>"
OURS = "<sip:sipp@[local_ip]:[local_port]>"
_KEPT = {
    "via": ("SIP/2.0.*", "Via:"),
    "contact": ("sip:[^&gt;]*", "Contact:"),
    "caller": ("&lt;sip:.*", "From:"),
    "called": ("&lt;sip:[^&gt;]*&gt;", "To:"),
    "number": ("[0-9]+", "CSeq:"),
}


@dataclass(frozen=True)
class Step:
    xml: str


def scenario(name: str, *steps: Step) -> str:
    """The XML of a whole one."""
    body = "".join(step.xml for step in steps)
    kept = ",".join(name for name in _KEPT if f'assign_to="{name}"' in body)
    reference = f'<Reference variables="{kept}"/>\n' if kept else ""
    return f'{HEAD}<scenario name="{name}">\n{body}{reference}</scenario>\n'


def ask(
    method: str, number: int, *, branch: str = "", sdp: bool = False, within: bool = True, headers: str = ""
) -> Step:
    """A request of the caller's. `branch`: its name, empty for one of its own; `within`: with the To tag of
    the last response."""
    lines = [
        f"{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
        f"Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={_branch(branch)}",
        f"From: {OURS};tag=[pid]r[call_number]",
        "[last_To:]" if within else f"To: {CALLED}",
        "Call-ID: [call_id]",
        f"CSeq: {number} {method}",
        f"Contact: {OURS}",
        "Max-Forwards: 70",
    ]
    return _send(lines, headers, sdp)


def turn(method: str, number: int) -> Step:
    """A request of the called side, which has been called by us and is the one with the tag `one`."""
    lines = [
        f"{method} [$contact] SIP/2.0",
        f"Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={_branch('')}",
        "From: [$called];tag=one",
        "To: [$caller]",
        "[last_Call-ID:]",
        f"CSeq: {number} {method}",
        f"Contact: {OURS}",
        "Max-Forwards: 70",
    ]
    return _send(lines, "", sdp=method in ("INVITE", "UPDATE"))


def answer(status: int, *, tag: str = "one", sdp: bool = False, headers: str = "") -> Step:
    """A response to the INVITE that called us, whatever has come since."""
    lines = [
        f"SIP/2.0 {status} Whatever",
        "Via: [$via]",
        "From: [$caller]",
        f"To: [$called]{f';tag={tag}' if tag else ''}",
        "[last_Call-ID:]",
        "CSeq: [$number] INVITE",
        f"Contact: {OURS}",
        "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE",
    ]
    return _send(lines, headers, sdp)


def agree(status: int = 200) -> Step:
    """A response to the last request, which was no INVITE."""
    lines = [f"SIP/2.0 {status} Whatever", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]"]
    return _send([*lines, "[last_CSeq:]"], "", sdp=False)


def called() -> Step:
    """An INVITE of ours comes."""
    kept = "".join(
        f'<ereg regexp="{pattern}" search_in="hdr" header="{header}" check_it="true" assign_to="{name}"/>\n'
        for name, (pattern, header) in _KEPT.items()
    )
    return Step(f'<recv request="INVITE"><action>\n{kept}</action></recv>\n')


def asked(method: str) -> Step:
    """A request comes."""
    return Step(f'<recv request="{method}"/>\n')


def hear(status: int, *, optional: bool = False, like: str = "") -> Step:
    """A response comes; `like`: what it is to contain, a regular expression."""
    more = ' optional="true"' if optional else ""
    if not like:
        return Step(f'<recv response="{status}"{more}/>\n')
    found = f'<ereg regexp="{like}" search_in="msg" check_it="true" assign_to="found"/>'
    return Step(
        f'<recv response="{status}"{more}><action>{found}</action></recv>\n<Reference variables="found"/>\n'
    )


def pause(milliseconds: int) -> Step:
    return Step(f'<pause milliseconds="{milliseconds}"/>\n')


def _branch(name: str) -> str:
    return f"z9hG4bK[pid]x[call_number]{name}" if name else "[branch]"


def _send(lines: list[str], headers: str, sdp: bool) -> Step:
    body = SDP if sdp else ""
    typed = ["Content-Type: application/sdp"] if sdp else []
    head = "\n".join([*lines, *headers.splitlines(), *typed, "Content-Length: [len]"])
    return Step(f"<send><![CDATA[\n\n{head}\n\n{body}\n]]></send>\n")
