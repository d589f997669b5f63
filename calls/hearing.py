"""Why one call does not hear another: every rule and every stretch of the way between them, with evidence.

The way of a voice: the speaker's phone, its packets, the leg they belong to, the rules of the conference,
the listener's leg, the packets to his phone. What stops it is a finding; what merely looks odd, such as a
speaker who says nothing, is a finding that is not sure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from calls import clock
from calls.call import Call
from calls.conference import Conference, Member
from calls.ended import EndedCall
from sip.uri import host_port

if TYPE_CHECKING:
    from media.client import LegStatistics
    from sip.sdp import Agreement

# Seconds without a packet after which a line counts as silent: packets come every 60 ms at the latest.
_SILENT = 1.0

# What is quieter than this, in dB of full scale, is the noise of a line and not somebody who speaks.
_QUIET = -60.0

# The share of packets from which on their loss is worth a word: less is filled so that words are understood.
_LOSS = 0.1

# Seconds in which a leg is sent its first packets: before them a count of none means nothing.
_FIRST_PACKETS = 1.0


@dataclass(frozen=True)
class Party:
    """One of the two calls, and what media knows of its leg (None: it has none, or nothing is known yet)."""

    call: Call | EndedCall
    figures: "LegStatistics | None"

    @property
    def seat(self) -> tuple[Conference, Member] | None:
        return self.call.membership

    @property
    def agreed(self) -> "Agreement | None":
        return self.call.media.agreed if self.call.media is not None else None


@dataclass(frozen=True)
class Finding:
    """One reason. `code` is for programs; `sure`: it stops the voice, and is no mere hint."""

    code: str
    description: str
    sure: bool = True


@dataclass(frozen=True)
class Hearing:
    """The answer: whether `listener` hears `speaker`, as far as this server can know, and the reasons."""

    listener: Party
    speaker: Party
    findings: tuple[Finding, ...]

    @property
    def hears(self) -> bool:
        return not any(finding.sure for finding in self.findings)


def examine(listener: Party, speaker: Party, now: datetime) -> Hearing:
    """Follow the voice of `speaker` on its way to `listener` and note all that stops it, in that order."""
    if listener.call is speaker.call:
        findings = [Finding("same-call", "Nobody hears himself")]
    elif states := [*_state("speaker", speaker.call), *_state("listener", listener.call)]:
        findings = states
    else:
        findings = [
            *_arrives(speaker, now),
            *_crosses(listener, speaker),
            *_leaves(listener, now),
        ]
    return Hearing(listener, speaker, tuple(findings))


def _state(role: str, call: Call | EndedCall) -> list[Finding]:
    if call.state == "answered":
        return []
    if not call.live:
        ended = "" if call.end_time is None else f" at {clock.text(call.end_time)}"
        return [Finding(f"{role}-ended", f"The {role}'s call has ended{ended}: {call.disconnect_cause}")]
    return [Finding(f"{role}-not-answered", f"The {role}'s call is not answered: it is {call.state}")]


def _arrives(speaker: Party, now: datetime) -> list[Finding]:
    """From the speaker's phone to its leg."""
    agreed, figures = speaker.agreed, speaker.figures
    if agreed is None or figures is None:
        return [Finding("speaker-media-not-ready", "No sound has been agreed with the speaker's phone yet")]
    if not agreed.receives:
        return [
            Finding(
                "speaker-direction",
                "The speaker's phone has put us on hold: its last SDP says that it sends nothing",
            )
        ]
    if speaker.call.media is not None and speaker.call.media.kept_out:
        return [
            Finding(
                "speaker-holds-with-music",
                "The speaker's phone has put us on hold; what it sends meanwhile is kept out of the room",
            )
        ]
    if figures.rejected and (figures.silent_for is None or figures.silent_for >= _SILENT):
        return [
            Finding(
                "speaker-keys",
                f"{figures.rejected} packets have come that do not pass the keys of the speaker's SDP, and "
                "of late none that does",
            )
        ]
    if figures.source is None:
        where = "no address" if agreed.remote is None else shown(agreed.remote)
        return [
            Finding(
                "speaker-address-not-learnt",
                f"No packet has come from the speaker {_for(speaker.call, now)}; "
                f"its SDP names {where}, its signalling comes from {_signalling(speaker.call)}",
            )
        ]
    if figures.silent_for is None or figures.silent_for >= _SILENT:
        last = "ever" if figures.silent_for is None else f"for {figures.silent_for:.1f} s"
        return [Finding("speaker-no-packets", f"No packet from {shown(figures.source)} {last}")]
    if figures.level_db is None or figures.level_db < _QUIET:
        level = "nothing but silence" if figures.level_db is None else f"{figures.level_db:g} dB at most"
        return [
            Finding(
                "speaker-quiet",
                f"Packets come from {shown(figures.source)}, with {level} in them: "
                "the microphone may be off or mute",
                sure=False,
            )
        ]
    if figures.loss >= _LOSS:
        return [
            Finding(
                "speaker-loses-packets",
                f"{figures.loss:.0%} of the speaker's packets of the last seconds were lost or too late",
                sure=False,
            )
        ]
    return []


def _crosses(listener: Party, speaker: Party) -> list[Finding]:
    """From leg to leg: who may hear whom."""
    pair = listener.call.pair
    if pair is not None and pair is speaker.call.pair and not pair.over.is_set():
        return []
    mine, theirs = listener.seat, speaker.seat
    if mine is None or theirs is None or mine[0] is not theirs[0]:
        places = f"the listener is in {_room(mine)}, the speaker in {_room(theirs)}"
        return [Finding("not-together", f"The two are not in one conference: {places}")]
    hearer, talker = mine[1], theirs[1]
    findings = []
    if talker.mute:
        findings.append(Finding("speaker-muted", f"The speaker is muted {_origin(talker, 'mute')}"))
    if talker.hold:
        findings.append(Finding("speaker-held", f"The speaker is on hold {_origin(talker, 'hold')}"))
    if hearer.hold:
        findings.append(Finding("listener-held", f"The listener is on hold {_origin(hearer, 'hold')}"))
    if talker.coaches and hearer.call_id not in talker.coaches:
        heard_by = ", ".join(talker.coaches)
        findings.append(
            Finding(
                "speaker-coaches-others",
                f"The speaker is a coach, heard by {heard_by} alone, {_origin(talker, 'coaches')}",
            )
        )
    return findings


def _leaves(listener: Party, now: datetime) -> list[Finding]:
    """From the listener's leg to his phone."""
    agreed, figures = listener.agreed, listener.figures
    if agreed is None or figures is None:
        return [Finding("listener-media-not-ready", "No sound has been agreed with the listener's phone yet")]
    if agreed.remote is None:
        return [Finding("listener-address-unknown", "The listener's SDP names no address to send to")]
    if not agreed.sends:
        return [
            Finding(
                "listener-direction",
                "The listener's phone is on hold: its last SDP says that it takes nothing",
            )
        ]
    if not figures.sent and _age(listener.call, now) > _FIRST_PACKETS:
        return [Finding("listener-not-sent-to", "No packet has been sent to the listener")]
    if figures.source is None:
        return [
            Finding(
                "listener-address-not-learnt",
                f"Packets go to {shown(agreed.remote)}, which the listener's SDP names; nothing has "
                "come from there, so that behind a NAT they may not arrive",
                sure=False,
            )
        ]
    if figures.far_loss is not None and figures.far_loss >= _LOSS:
        return [
            Finding(
                "listener-loses-packets",
                f"{figures.far_loss:.0%} of what is sent to the listener is lost, by his phone's last report",
                sure=False,
            )
        ]
    return []


def _origin(member: Member, setting: str) -> str:
    change = member.changes[setting]
    by = "its document" if change.by == "document" else "REST"
    return f"since {clock.text(change.at)}, by {by}"


def _room(seat: tuple[Conference, Member] | None) -> str:
    return "none" if seat is None else f"{seat[0].name} ({seat[0].id})"


def shown(address: tuple[str, int]) -> str:
    """An address and port as people write them."""
    return host_port(*address)


def _signalling(call: Call | EndedCall) -> str:
    return call.session.remote_ip if call.session is not None else "nowhere"


def _age(call: Call | EndedCall, now: datetime) -> float:
    return (now - call.answer_time).total_seconds() if call.answer_time is not None else 0.0


def _for(call: Call | EndedCall, now: datetime) -> str:
    return f"in the {_age(call, now):.0f} s since the answer"
