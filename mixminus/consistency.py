"""What is sound by itself in a configuration and wrong, or doubtful, beside the rest."""

import os
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from mixminus import documents
from mixminus.settings import Application, Config
from mixminus.sources import Key, Sources
from sip.tls import Tls


def check(config: Config, sources: Sources) -> None:
    """Refuses at `sources` what is wrong beside the rest, and files that cannot be used."""
    _check_unique(config, sources)
    _check_accounts(config, sources)
    _check_trunk_users(config, sources)
    _check_ports(config, sources)
    _check_tls(config, sources)
    _check_srtp(config, sources)
    _check_directory(config.data.directory, sources)
    if "applications" in sources.values:
        for index, application in enumerate(config.applications):
            _check_application(application, ("applications", index), config, sources)
    expires, minimum = config.sip.session_expires, config.sip.session_minimum
    if 0 < expires < minimum:
        sources.refuse(
            ("sip", "session_expires"), f"expected 0 or at least session_minimum, which is {minimum}"
        )
    _check_delay(config.rtp.delay_floor, config.rtp.delay_ceiling, ("rtp", "delay_floor"), sources)
    for index, trunk in enumerate(config.trunks):
        floor = trunk.delay_floor or config.rtp.delay_floor
        ceiling = trunk.delay_ceiling or config.rtp.delay_ceiling
        if trunk.delay_floor or trunk.delay_ceiling:
            _check_delay(floor, ceiling, ("trunks", index, "delay_floor"), sources)
        if trunk.password and not trunk.username:
            sources.refuse(("trunks", index, "password"), "expected a username beside it")
        if trunk.register and not trunk.username:
            sources.refuse(("trunks", index, "register"), "expected a username and a password beside it")


def _check_directory(directory: Path, sources: Sources) -> None:
    """Whether this user may write there, or may make the folder where it is not there yet."""
    nearest = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
    if not os.path.isdir(nearest):
        sources.refuse(("data", "directory"), f"expected a folder, {nearest} is none")
        return
    # Tried, since rights are not all: nobody writes in /proc, whatever its mode says.
    trial = nearest / f".mixminus-{os.getpid()}"
    try:
        os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        trial.unlink()
    except OSError as error:
        where = "" if nearest == directory else f", so {directory} cannot be made"
        problem = f"this user cannot write in {nearest}{where}: {error.strerror}"
        sources.refuse(("data", "directory"), problem)


def _check_delay(floor: float, ceiling: float, key: Key, sources: Sources) -> None:
    if floor > ceiling:
        sources.refuse(key, f"expected at most delay_ceiling, which is {ceiling:g}")


def _check_unique(config: Config, sources: Sources) -> None:
    for section, name in (
        ("accounts", "id"),
        ("accounts", "username"),
        ("applications", "id"),
        ("users", "name"),
        ("trunks", "name"),
    ):
        seen: set[str] = set()
        for index, row in enumerate(getattr(config, section)):
            value = getattr(row, name)
            if value in seen and value:
                sources.refuse((section, index, name), f'expected each {name} once, and "{value}" is taken')
            seen.add(value)


def _check_accounts(config: Config, sources: Sources) -> None:
    """Whatever names an account names one that exists; `users` and `trunks` may name none."""
    if sources.refused(("accounts",)):
        return
    known = [account.id for account in config.accounts]
    for section in ("applications", "users", "trunks"):
        for index, row in enumerate(getattr(config, section)):
            if row.account and row.account not in known:
                expected = " or ".join(f'"{name}"' for name in known)
                sources.refuse(
                    (section, index, "account"), f'expected an account\'s id, {expected}, got "{row.account}"'
                )


def _check_trunk_users(config: Config, sources: Sources) -> None:
    """Who sends calls in as a trunk is a user, and as one trunk."""
    if sources.refused(("users",)):
        return
    known, taken = {user.name for user in config.users}, set[str]()
    for index, trunk in enumerate(config.trunks):
        for place, name in enumerate(trunk.inbound_users):
            key = ("trunks", index, "inbound_users", place)
            if name not in known:
                sources.refuse(key, f'expected the name of one of [[users]], got "{name}"')
            elif name in taken:
                sources.refuse(key, f'expected each user once, and "{name}" sends calls in already')
            taken.add(name)


def _check_ports(config: Config, sources: Sources) -> None:
    first, last = config.rtp.first_and_last
    streams = [("http.listen", *config.http.listen)]
    for index, endpoint in enumerate(config.sip.endpoints):
        if endpoint.transport == "udp":
            if first <= endpoint.port <= last:
                sources.refuse(("rtp", "ports"), f"expected a range without the SIP port {endpoint.port}")
            continue
        for key, address, port in streams:
            if port and port == endpoint.port and _overlap(address, endpoint.address):
                sources.refuse(
                    ("sip", "listen", index), f"expected another port than {key} has, got {endpoint}"
                )
        streams.append((f"sip.listen[{index}]", endpoint.address, endpoint.port))


def _overlap(one: str, other: str) -> bool:
    """Whether two listeners of one port would be in each other's way."""
    first, second = ip_address(one), ip_address(other)
    return first == second or (
        first.version == second.version and (first.is_unspecified or second.is_unspecified)
    )


def _check_tls(config: Config, sources: Sources) -> None:
    sip = config.sip
    listened = {endpoint.transport for endpoint in sip.endpoints}
    if listened & {"tls", "wss"} and sip.certificate is None:
        sources.refuse(("sip", "listen"), "expected sip.certificate beside a tls: or wss: entry")
    for name in ("certificate", "private_key", "client_authorities", "authorities"):
        path = getattr(sip, name)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            sources.refuse(("sip", name), f"{path} cannot be read: {error.strerror}")
    files = sip.tls_files
    if files is not None and not sources.refused(("sip",)):
        try:
            Tls(files)
        except OSError as error:
            sources.refuse(("sip", "certificate"), str(error.strerror))
    for index, trunk in enumerate(config.trunks):
        if trunk.transport == "tls" and "tls" not in listened:
            sources.refuse(("trunks", index, "transport"), "expected a tls: entry in sip.listen beside it")


def _check_srtp(config: Config, sources: Sources) -> None:
    """Keys that must not be said in the clear need signalling that is not."""
    if config.sip.srtp_keys_in_clear:
        return
    if not {"tls", "wss"} & {endpoint.transport for endpoint in config.sip.endpoints}:
        wanting: list[Key] = [("sip", "srtp")] if config.sip.srtp == "required" else []
        wanting += [("users", i, "srtp") for i, user in enumerate(config.users) if user.srtp == "required"]
        for key in wanting:
            sources.refuse(
                key, "expected a tls: or wss: entry in sip.listen beside it, or sip.srtp_keys_in_clear"
            )
    for index, trunk in enumerate(config.trunks):
        if trunk.srtp == "required" and trunk.transport != "tls":
            sources.refuse(
                ("trunks", index, "srtp"), 'expected transport = "tls" beside it, or sip.srtp_keys_in_clear'
            )


def _check_application(application: Application, key: Key, config: Config, sources: Sources) -> None:
    if application.bxml and application.call_initiated_url:
        sources.refuse((*key, "bxml"), "expected either bxml or call_initiated_url, not both")
    elif not application.bxml and not application.call_initiated_url:
        if not sources.refused((*key, "bxml")) and not sources.refused((*key, "call_initiated_url")):
            sources.refuse(key, "expected call_initiated_url or bxml")
    elif application.bxml and (wrong := documents.fault(application.bxml)) is not None:
        sources.refuse((*key, "bxml"), wrong)
    for prefix in ("", "fallback_"):
        if getattr(application, f"{prefix}password") and not getattr(application, f"{prefix}username"):
            sources.refuse((*key, f"{prefix}password"), f"expected a {prefix}username beside it")
    if config.webhooks.require_https:
        for name, url in application.urls.items():
            user = application.fallback_username if "fallback" in name else application.username
            if user and not url.startswith("https:"):
                sources.refuse((*key, name), "expected https, since webhooks.require_https is set")


def doubts(config: Config) -> Iterable[str]:
    """What is allowed and yet likely a mistake, a line each."""
    for network in config.sip.allow:
        if network.prefixlen == 0:
            yield f"sip.allow: {network} lets everybody call in without credentials"
    outside = [e for e in config.sip.endpoints if not ip_address(e.address).is_loopback]
    if outside and ip_address(config.rtp.address).is_loopback:
        yield (
            f"rtp.address: {config.rtp.address} reaches this machine alone, but {outside[0]} takes calls from"
            " others: they will hear nothing"
        )
