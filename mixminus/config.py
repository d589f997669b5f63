"""Reads the configuration: a file, the environment over it, the command line over both."""

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from mixminus import kinds
from mixminus.interfaces import subnet
from mixminus.settings import (
    BUILT_IN_APPLICATION,
    DEMO_ACCOUNT,
    Account,
    Application,
    Conference,
    Config,
    Data,
    Http,
    Rtp,
    Server,
    Sip,
    Sound,
    Trunk,
    User,
    Webhooks,
)
from mixminus.sources import PREFIX, ConfigError, Key, Sources

__all__ = [
    "ARRAYS", "TABLES", "Account", "Application", "Config", "ConfigError", "Trunk", "User", "ensure_password",
    "load",
]  # fmt: skip

TABLES: Mapping[str, type[Any]] = {
    "sip": Sip,
    "rtp": Rtp,
    "sound": Sound,
    "http": Http,
    "data": Data,
    "conference": Conference,
    "server": Server,
    "webhooks": Webhooks,
}
"""The sections with one value for each key."""

ARRAYS: Mapping[str, type[Any]] = {
    "accounts": Account,
    "applications": Application,
    "users": User,
    "trunks": Trunk,
}
"""The sections that are arrays of tables."""

PASSWORD_FILE = "password"


def load(path: Path | None, environ: Mapping[str, str], *, address: str | None = None) -> Config:
    """The configuration out of a TOML file (None: the defaults) and `environ`.

    `address`: binds SIP and RTP there and lets its subnet call in (HTTP stays where it is). Raises
    `ConfigError` with a line for everything that is wrong: file and line or variable, key, what was expected.
    """
    sources = Sources()
    if path is not None:
        sources.read_file(path)
    sources.read_environment(environ, ARRAYS)
    config = _build(sources)
    if address is not None:
        config = _bound(config, address)
    config = _completed(config, path.parent.resolve() if path is not None else Path.cwd())
    _cross_check(config, sources)
    sources.raise_problems()
    return replace(config, warnings=(*config.warnings, *_overlooked(environ), *_warnings(config)))


def ensure_password(directory: Path) -> tuple[str, bool]:
    """The demo account's password, and whether it has just been made. It is kept in `directory`, readable by
    its owner alone. Raises `ConfigError` when it can be neither read nor written."""
    file = directory / PASSWORD_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            kept = file.read_text("utf-8").strip()
            if kept:
                return kept, False
            raise ConfigError(f"{file}: is empty; remove it and a new password is made") from None
        with open(handle, "w", encoding="utf-8") as output:
            made = secrets.token_urlsafe(12)
            output.write(f"{made}\n")
        return made, True
    except OSError as error:
        raise ConfigError(f"data.directory: {file} cannot be used: {error.strerror}") from error


def _build(sources: Sources) -> Config:
    """The sections as far as they are sound; what is not is refused at `sources` and has its default here."""
    known = [*TABLES, *ARRAYS]
    for name in sources.values:
        if name not in known:
            sources.refuse((name,), "unknown section" + _suggestion(name, known, "[{}]"))
    found: dict[str, Any] = {}
    for name, shape in TABLES.items():
        if name in sources.values:
            found[name] = _section(shape, sources.values[name], (name,), sources)
    for name, shape in ARRAYS.items():
        rows = sources.values.get(name)
        if isinstance(rows, list):
            found[name] = tuple(_section(shape, row, (name, i), sources) for i, row in enumerate(rows))
        elif rows is not None:
            sources.refuse((name,), f"expected an array of tables, each under [[{name}]]")
    accounts = found.get("accounts", (DEMO_ACCOUNT,))
    if not accounts:
        sources.refuse(("accounts",), "expected at least one account")
    elif "applications" not in found:
        found["applications"] = (Application(id=BUILT_IN_APPLICATION, account=accounts[0].id),)
    return Config(**found)


_Shape = TypeVar("_Shape")


def _section(shape: type[_Shape], table: object, key: Key, sources: Sources) -> _Shape:
    given = table if isinstance(table, dict) else {}
    if given is not table:
        sources.refuse(key, "expected a table of keys and values")
    settings = {setting.name: setting for setting in fields(shape)}  # type: ignore[arg-type]
    for name in given:
        if name not in settings:
            sources.refuse((*key, name), "unknown key" + _suggestion(name, settings, "{}"))
    values: dict[str, object] = {}
    for name, setting in settings.items():
        if name in given:
            try:
                values[name] = setting.metadata["kind"](given[name])
                continue
            except ValueError as error:
                got = "" if setting.metadata["secret"] else f", got {_shown(given[name])}"
                sources.refuse((*key, name), f"{error}{got}")
        elif setting.default is MISSING and given is table:
            sources.refuse((*key, name), f"is missing ({setting.metadata['doc']})")
        values[name] = "" if setting.default is MISSING else setting.default
    return shape(**values)


def _suggestion(name: str, known: Iterable[str], form: str) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f", did you mean {form.format(near[0])}?" if near else ""


def _shown(value: object) -> str:
    """A value as a message may quote it: short, and without the password in a URL."""
    text = re.sub(r"//[^/\s]*@", "//***@", json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _bound(config: Config, address: str) -> Config:
    """SIP and RTP bound to one address of this machine, whose neighbours may call in."""
    try:
        host = ip_address(address)
    except ValueError:
        raise ConfigError(
            f'--address: expected an IP address such as "192.168.1.10", got "{address}"'
        ) from None
    if host.is_unspecified or host.is_multicast:
        raise ConfigError(f"--address: expected the address of one interface of this machine, got {host}")
    listen = [str(endpoint._replace(address=str(host))) for endpoint in config.sip.endpoints]
    neighbours = subnet(str(host))
    warnings = config.warnings
    if neighbours is None:
        neighbours = ip_network(host)
        warnings += (
            f"--address: the subnet of {host} is not known, so only {host} itself may call in by it",
        )
    return replace(
        config,
        sip=replace(config.sip, listen=tuple(dict.fromkeys(listen)), allow=(*config.sip.allow, neighbours)),
        rtp=replace(config.rtp, address=str(host)),
        warnings=warnings,
    )


def _completed(config: Config, base: Path) -> Config:
    """Relative paths joined to `base`, the public URL filled in."""
    host, port = config.http.listen
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    public_url = config.http.public_url or f"http://{kinds.join_port(reached, port)}"
    applications = [
        replace(application, bxml=base / application.bxml) if application.bxml else application
        for application in config.applications
    ]
    files = {
        name: base / path
        for name in ("certificate", "private_key", "client_authorities", "authorities")
        if (path := getattr(config.sip, name))
    }
    return replace(
        config,
        sip=replace(config.sip, **files),
        http=replace(config.http, public_url=public_url.rstrip("/")),
        data=Data(directory=base / config.data.directory),
        applications=tuple(applications),
    )


def _cross_check(config: Config, sources: Sources) -> None:
    """Refuses what is sound by itself and wrong beside the rest."""
    _check_unique(config, sources)
    _check_accounts(config, sources)
    _check_ports(config, sources)
    _check_tls(config, sources)
    _check_srtp(config, sources)
    if config.data.directory.exists() and not config.data.directory.is_dir():
        sources.refuse(("data", "directory"), f"expected a folder, {config.data.directory} is none")
    if "applications" in sources.values:
        for index, application in enumerate(config.applications):
            _check_application(application, ("applications", index), config, sources)
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


def _check_ports(config: Config, sources: Sources) -> None:
    first, last = config.rtp.first_and_last
    for endpoint in config.sip.endpoints:
        if endpoint.transport == "udp" and first <= endpoint.port <= last:
            sources.refuse(("rtp", "ports"), f"expected a range without the SIP port {endpoint.port}")


def _check_tls(config: Config, sources: Sources) -> None:
    listened = {endpoint.transport for endpoint in config.sip.endpoints}
    if listened & {"tls", "wss"} and config.sip.certificate is None:
        sources.refuse(("sip", "listen"), "expected sip.certificate beside a tls: or wss: entry")
    for name in ("certificate", "private_key", "client_authorities", "authorities"):
        path = getattr(config.sip, name)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            sources.refuse(("sip", name), f"{path} cannot be read: {error.strerror}")
    for index, trunk in enumerate(config.trunks):
        if trunk.transport == "tls" and "tls" not in listened:
            sources.refuse(("trunks", index, "transport"), "expected a tls: entry in sip.listen beside it")


def _check_srtp(config: Config, sources: Sources) -> None:
    """Keys that must not be said in the clear need signalling that is not."""
    if config.sip.srtp_keys_in_clear:
        return
    if config.sip.srtp == "required" and not {"tls", "wss"} & {e.transport for e in config.sip.endpoints}:
        sources.refuse(
            ("sip", "srtp"),
            "expected a tls: or wss: entry in sip.listen beside it, or sip.srtp_keys_in_clear",
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
    elif application.bxml:
        try:
            if not application.bxml.is_file() and application.bxml.exists():
                raise OSError(0, "expected a file")
            application.bxml.open("rb").close()
        except OSError as error:
            sources.refuse((*key, "bxml"), f"{application.bxml} cannot be read: {error.strerror}")
    for prefix in ("", "fallback_"):
        if getattr(application, f"{prefix}password") and not getattr(application, f"{prefix}username"):
            sources.refuse((*key, f"{prefix}password"), f"expected a {prefix}username beside it")
    if config.webhooks.require_https:
        for name, url in application.urls.items():
            user = application.fallback_username if "fallback" in name else application.username
            if user and not url.startswith("https:"):
                sources.refuse((*key, name), "expected https, since webhooks.require_https is set")


def _overlooked(environ: Mapping[str, str]) -> Iterable[str]:
    """Variables that look like a section and a key of it, with one underscore between them instead of two.

    A warning and no error: they may be what Kubernetes makes for a service called mixminus-rtp.
    """
    for variable in sorted(environ):
        section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
        shape = TABLES.get(section, ARRAYS.get(section))
        if not variable.startswith(PREFIX) or shape is None or name.startswith("_"):
            continue
        if near := get_close_matches(name, [setting.name for setting in fields(shape)], n=1, cutoff=0.8):
            right = PREFIX + section.upper() + ("" if section in ARRAYS else f"__{near[0].upper()}")
            yield f"{variable}: has no effect, did you mean {right}?"


def _warnings(config: Config) -> Iterable[str]:
    for network in config.sip.allow:
        if network.prefixlen == 0:
            yield f"sip.allow: {network} lets everybody call in without credentials"
    outside = [e for e in config.sip.endpoints if not ip_address(e.address).is_loopback]
    if outside and ip_address(config.rtp.address).is_loopback:
        yield (
            f"rtp.address: {config.rtp.address} reaches this machine alone, but {outside[0]} takes calls from"
            " others: they will hear nothing"
        )
