"""What the figures of /metrics mean, by source and name: whether one is a level or counts, and its help.

A counter of this list is shown from the start, so that its first event is not lost on whoever asks for rates.
"""

import re
from typing import Final, NamedTuple


class Figure(NamedTuple):
    """One figure. `level`: it goes up and down; else it counts since the start."""

    help: str
    level: bool = False


def _counters(**helps: str) -> dict[str, Figure]:
    return {name: Figure(text) for name, text in helps.items()}


def _levels(**helps: str) -> dict[str, Figure]:
    return {name: Figure(text, level=True) for name, text in helps.items()}


def _spread(name: str, of: str, *which: str) -> dict[str, Figure]:
    words = {"p50": "median", "p99": "99th percentile", "max": "greatest", "min": "least"}
    return {f"{name}_{each}": Figure(f"{of}: {words[each]}", level=True) for each in which}


_QUANTILES = ("p50", "p99", "max")

_MEDIA = _counters(
    beats="Beats of 20 ms that were run",
    skipped_beats="Beats that were left out because the process was held up",
    restarts="Media processes that died and were replaced; their calls were ended",
    packets_received="RTP packets taken from the network",
    packets_sent="RTP packets handed to the network",
    packets_lost="RTP packets that calls have missed",
    packets_late="RTP packets that came after their time to be played",
    packets_doubled="RTP packets that came twice",
    rtcp_received="RTCP compounds that were read",
    rtcp_sent="RTCP compounds that were sent",
    rtcp_malformed="RTCP that could not be read",
    rtcp_unknown="RTCP of no call here",
    rtcp_byes="Sources that said goodbye by RTCP",
    rtcp_in_clear="RTCP in the clear of calls that are encrypted, not heeded",
    srtp_rejected="Packets that did not pass the keys of their call",
    srtp_replayed="Packets under a call's keys that had come before",
    srtp_unsent="Packets that could not be encrypted",
    keep_alives="Packets to the port of sound that only keep a NAT open (STUN, empty)",
    dropped_malformed="Packets dropped: no RTP",
    dropped_truncated="Packets dropped: longer than 2048 bytes",
    dropped_unknown_source="Packets dropped: from an address that no call has named",
    dropped_ambiguous="Packets dropped: several calls might claim them",
    dropped_late="Packets dropped: of a call that has ended",
    dropped_payload_type="Packets dropped: a codec that was not agreed to",
    dropped_kernel="Packets dropped by the kernel: its buffer was full",
    send_errors="Packets that the kernel refused to send",
    rebindings="Calls whose sound came on from another address of the same host",
    digits="Keys received as telephone events or tones",
    digits_inband="Keys received as tones",
    commands="Commands from control",
    refused_commands="Commands that came too late: their leg had gone",
    system_calls="System calls for packets",
) | _levels(
    legs="Legs that are open",
    srtp_legs="Legs with keys",
    sent_to="Legs that are sent sound",
    plays="Prompts that are being played",
    talking="Legs in which somebody talks",
)
_MEDIA |= _spread("lateness", "Milliseconds that beats began late, since the start", *_QUANTILES)
_MEDIA |= _spread("duration", "Milliseconds that beats took, since the start", *_QUANTILES)
_MEDIA |= _spread("mos", "Score of what is heard of live calls, 1 to 4.4", "min", "p50")
_MEDIA |= _spread("far_mos", "Score of what live calls hear, by their reports, 1 to 4.4", "min", "p50")
_MEDIA |= _spread("loss", "Share of packets lost or late, of live calls, 0 to 1", *_QUANTILES)
_MEDIA |= _spread("far_loss", "Share of packets that live calls report as lost, 0 to 1", *_QUANTILES)
_MEDIA |= _spread("jitter", "Jitter of live calls in milliseconds (RFC 3550)", *_QUANTILES)
_MEDIA |= _spread("round_trip", "Round trip of live calls in milliseconds, by their reports", *_QUANTILES)

_SIP = _counters(
    received="Messages received",
    sent="Messages sent",
    malformed="Messages that could not be read",
    unanswerable="Requests that could be read no further than that they want an answer, without a way for it",
    retransmissions="Messages that were sent again for want of an answer, or because one came again",
    refused="Requests of sources that may not make them",
    rate_limited="Requests of strangers that were not looked at: too many a second",
    refused_unsettled="Calls refused: too many of their source neither ring nor have their ACK",
    refused_in_call="Requests refused: too many within one call",
    calls_inbound="Calls that came in",
    calls_outbound="Calls that went out",
    unacknowledged="Answers and reliable responses that were never acknowledged",
    unwanted_answers="Answers that came after we had given up, or of a second branch of a fork",
    stray_responses="Responses to nothing that was asked",
    fail_overs="Calls that went on to the next server of a name",
    flows_lost="Connections that ended, and ways that failed",
    sessions_expired="Calls whose session timer ran out",
    bad_session_timers="Session timers that could not be read",
    bad_provisionals="Reliable responses out of order, or too many of one call",
    large_requests="Requests too long for UDP that went over TCP",
    stream_fallbacks="Requests too long for UDP that went over it after all",
    unreachable="Requests for which there was no way",
    unreachable_sources="Messages from addresses to which there is no way",
    keep_alives="Keep-alives (STUN, line ends)",
    udp_send_dropped="Datagrams that the kernel had no room for",
    udp_unreachable="Datagrams that a host sent back as undeliverable",
    send_errors="Messages that the kernel refused to send",
    tls_handshake_errors="TLS handshakes of others that failed",
) | _levels(
    called="Numbers of calls of ours that are remembered, to tell those that come back",
    dialogs="Dialogs that are remembered",
    late_calls="Calls that are over and still wait for an answer to their end",
    sessions="Calls, those being ended too",
    timers="Timers that are set",
    transactions="Transactions that are remembered",
    unacknowledged_answers="Answers that wait for their ACK",
    unsettled="Calls that neither ring nor have their ACK",
)
for _transport in ("tcp", "tls", "ws", "wss"):
    _SIP[f"{_transport}_connections"] = Figure(f"Connections by {_transport}", level=True)

_WEBHOOKS = _counters(
    delivered="Events that their receiver took",
    failed="Events that their receiver did not take",
    retried="Events that were sent a second time: the connection had broken",
    fell_back="Events that went to the fallback URL",
    dropped="Events that were given up unsent: too many waited",
    replayed="Undelivered events that were sent again by REST",
) | _levels(
    waiting="Events that wait to be sent",
    undelivered="Events that could not be delivered, as REST lists them",
)

FIGURES: Final = {"media": _MEDIA, "sip": _SIP, "webhooks": _WEBHOOKS}

_FAMILIES: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"requests_(\w+)", "Requests received: {}"),
        (r"responses_(\dxx)", "Responses sent: {}"),
        (r"received_(\dxx)", "Responses received: {}"),
        (r"(tcp|tls|ws|wss)_refused", "Connections by {} refused: all places were taken"),
        (r"(tcp|tls|ws|wss)_made_room", "Connections by {} of strangers that were closed for others"),
        (r"(tcp|tls)_connect_errors", "Connections of ours by {} that could not be made"),
        (r"hep_(messages|dropped)", "Copies for the HEP collector: {}"),
    )
)
"""Counters that are shown once they have counted something."""


def figure(source: str, name: str) -> Figure | None:
    """What a figure means; None for one that nobody has described."""
    if (found := FIGURES[source].get(name)) is not None:
        return found
    for pattern, text in _FAMILIES:
        if (match := pattern.fullmatch(name)) is not None:
            return Figure(text.format(match[1]))
    return None
