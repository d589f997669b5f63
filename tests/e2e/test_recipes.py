"""docs/recipes.md and the first call of the README as they stand: files, commands, and what is heard."""

import asyncio
import http.client
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.machines import Machine, Machines, Running
from tests.support.programs import need
from tests.support.recipes import Recipe, titles
from tests.support.server import ROOT
from tests.support.softphones import Baresip, Linphone, hear_each_other
from tests.support.tones import FREQUENCIES

# A busy machine may take its time.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PROBLEM = re.compile(r'Traceback|"level": ?"(error|critical)"|never (retrieved|awaited)')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machines]:
    with Machines(tmp_path_factory.mktemp("machines"), ROOT, Path(sys.prefix)) as machines:
        yield machines


@pytest_asyncio.fixture(loop_scope="module")
async def machines(world: Machines) -> AsyncIterator[Machines]:
    yield world
    await world.off()


async def serve(machine: Machine, command: str, address: str = "127.0.0.1:8080/healthz") -> Running:
    """Up when that answers with 200."""
    running = await machine.start(command)
    place, _, path = address.partition("/")

    def healthy() -> bool:
        if running.process.returncode is not None:
            return True
        with machine.network():
            connection = http.client.HTTPConnection(place, timeout=2)
            try:
                connection.request("GET", f"/{path}")
                return connection.getresponse().status == 200
            except OSError:
                return False
            finally:
                connection.close()

    await eventually(healthy, every=0.1, what=lambda: running.log)
    assert running.process.returncode is None, running.log
    return running


async def stopped(server: Running) -> None:
    """In order: nothing went wrong."""
    await server.stop()
    problems = [line for line in server.log.splitlines() if PROBLEM.search(line)]
    assert not problems, "\n".join(problems)


async def baresip(machine: Machine, voice: int, more: str = "") -> Baresip:
    phone = Baresip(machine, FREQUENCIES[voice])
    await phone.first_start()
    phone.without_sound_card(more)
    return phone


def copy(source: Path, *targets: Path) -> None:
    """What the page says to copy."""
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


async def test_register_a_softphone(machines: Machines) -> None:
    recipe = Recipe("Register a softphone")
    server, phone, guest = machines["server"], machines["phone"], machines["guest"]
    server.write(recipe.take("server", "my.toml"))
    linphone = Linphone(guest, FREQUENCIES[6])
    serving, alice, _ = await asyncio.gather(
        serve(server, recipe.take("server", having="make serve").text),
        baresip(phone, 0),
        linphone.run(recipe.take("phone", having="linphonec").text),
    )
    phone.write(recipe.take("phone", "~/.baresip/accounts"))
    await alice.run(recipe.take("phone", having="baresip").text)
    await linphone.type(recipe.take("phone", having="register").text)
    await hear_each_other(alice, linphone)

    await alice.hang_up("b")
    server.write(recipe.take("server", "room.xml"))
    await serve(server, recipe.take("server", having="http.server").text, "127.0.0.1:9000/room.xml")
    await server.run(recipe.take("server", having="curl").text)
    await eventually(lambda: "Incoming call" in alice.story(), what=alice.story)
    alice.press("a")
    await hear_each_other(alice, linphone)
    assert not recipe.left
    await stopped(serving)


async def test_connect_a_trunk(machines: Machines) -> None:
    """The carrier is Kamailio with a telephone behind it; the spare one is a telephone by itself."""
    recipe = Recipe("Connect a trunk")
    server, phone = machines["server"], machines["phone"]
    need("kamailio", "kamailio-tls-modules")
    carrier = await machines["carrier"].start(carriers_command(machines["carrier"]))
    telephone, spare, alice, caller = await asyncio.gather(
        telephone_of("+19195551234", machines["telephone"], 5060, 3),
        telephone_of("0019195551234", machines["spare"], 5070, 6),
        baresip(phone, 0),
        baresip(machines["caller"], 9),
    )
    await eventually(lambda: "Listening on" in carrier.log, what=lambda: carrier.log)
    for file in ("my.toml", "room.xml"):
        server.write(recipe.take("server", file))
    documents = Recipe("Register a softphone").take("server", having="http.server").text
    serving, _ = await asyncio.gather(
        serve(server, recipe.take("server", having="make serve").text),
        serve(server, documents, "127.0.0.1:9000/room.xml"),
    )

    phone.write(Recipe("Register a softphone").take("phone", "~/.baresip/accounts"))
    await alice.run(recipe.take("phone", having="baresip").text)
    (machines["caller"].home / ".baresip/accounts").write_text("<sip:+19195550177@203.0.113.7>;regint=0\n")
    await caller.run("baresip -e '/dial sip:+442071838750@203.0.113.5'")
    await hear_each_other(alice, caller)

    order = recipe.take("server", having="curl -u").text
    await server.run(order)
    await hear_each_other(alice, caller, telephone)
    await carrier.stop(signal.SIGKILL)
    await server.run(order)
    await hear_each_other(alice, caller, telephone, spare)
    told = await server.run(recipe.take("server", having="/metrics").text)
    assert 'mixminus_trunk_calls{trunk="spare"} 1.0' in told
    assert not recipe.left
    await stopped(serving)


def carriers_command(machine: Machine) -> str:
    """Kamailio with tests/e2e/kamailio/carrier.cfg, which wants a certificate even if nobody asks for it."""
    shutil.copy(ROOT / "tests/e2e/kamailio/carrier.cfg", machine.home / "etc")
    values = {
        "REALM": "carrier.example",
        "PASSWORD": "trunk-password",
        "CUSTOMER": "192.0.2.10:5060",
        "CUSTOMER_IP": "192.0.2.10",
        "TELEPHONE": "203.0.113.6:5060",
        "CERTIFICATE": "/etc/kamailio/carrier.pem",
        "KEY": "/etc/kamailio/carrier.key",
        "AUTHORITY": "/etc/kamailio/carrier.pem",
    }
    given = " ".join(f"-A '{name}=\"{value}\"'" for name, value in values.items())
    return f"""
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=carrier \\
    -keyout /etc/kamailio/carrier.key -out /etc/kamailio/carrier.pem
exec kamailio -f /etc/kamailio/carrier.cfg -DD -E -m 32 -Y . -l udp:{machine.address}:5060 \\
    -A ADDRESS={machine.address} {given}
"""


async def telephone_of(number: str, machine: Machine, port: int, voice: int) -> Baresip:
    """It listens there, and answers calls to that number by itself."""
    phone = await baresip(machine, voice, f"sip_listen {machine.address}:{port}")
    account = f"<sip:{number}@{machine.address}>;regint=0;answermode=auto\n"
    (machine.home / ".baresip/accounts").write_text(account)
    await phone.run("baresip -v")
    return phone


async def test_run_behind_a_nat(machines: Machines) -> None:
    """Who is beside the server and who is outside, in one conference."""
    recipe = Recipe("Run behind a NAT")
    server, router = machines["inner"], machines["router"]
    server.write(recipe.take("server", "my.toml"))
    router.write(recipe.take("router", "mixminus.nft"))
    serving, outside, beside, _ = await asyncio.gather(
        serve(server, recipe.take("server", having="make serve").text),
        baresip(machines["outside"], 0),
        baresip(machines["beside"], 6),
        router.run(recipe.take("router", having="nft").text),
    )
    for phone, label in ((outside, "phone"), (beside, "phone beside the server")):
        phone.machine.write(recipe.take(label, "~/.baresip/accounts"))
        await phone.run(recipe.take(label, having="baresip").text)
    await hear_each_other(outside, beside)
    assert not recipe.left
    await stopped(serving)


async def test_use_tls_and_srtp(machines: Machines) -> None:
    recipe = Recipe("Use TLS and SRTP")
    server, phone, guest = machines["server"], machines["phone"], machines["guest"]
    await server.run(recipe.take("server", having="openssl").text)
    server.write(recipe.take("server", "my.toml"))
    copy(server.home / "authority.pem", phone.home / "authority.pem", guest.home / "authority.pem")
    guest.write(recipe.take("phone", "~/.linphonerc"))
    linphone = Linphone(guest, FREQUENCIES[6])
    serving, alice, _ = await asyncio.gather(
        serve(server, recipe.take("server", having="make serve").text),
        baresip(phone, 0),
        linphone.run(Recipe("Register a softphone").take("phone", having="linphonec").text),
    )
    for file in ("config", "accounts"):
        phone.write(recipe.take("phone", f"~/.baresip/{file}"))
    await alice.run(recipe.take("phone", having="baresip").text)
    await linphone.type(recipe.take("phone", having="register").text)
    await hear_each_other(alice, linphone)
    assert "SRTP is Enabled" in alice.story()
    assert not recipe.left
    await stopped(serving)


async def test_put_kamailio_in_front(machines: Machines) -> None:
    recipe = Recipe("Put Kamailio in front")
    need("kamailio", "kamailio-tls-modules")
    server, edge, second = machines["server"], machines["edge"], machines["second"]
    await server.run(Recipe("Use TLS and SRTP").take("server", having="openssl").text)
    certificate = recipe.take("server", having="openssl").text
    proxy = recipe.take("edge", having="kamailio").text
    account, dial = recipe.take("phone", "~/.baresip/accounts"), recipe.take("phone", having="baresip")
    server.write(recipe.take("server", "my.toml"))
    edges = []
    for machine in (edge, second):  # "the same with that address in place of the first's"
        await server.run(certificate.replace(edge.address, machine.address))
        for name in ("edge.pem", "edge.key", "authority.pem", "examples/kamailio/edge.cfg"):
            copy(server.home / name, machine.home / "etc" / Path(name).name)
        edges.append(await machine.start(proxy.replace(edge.address, machine.address)))
    serving, *phones = await asyncio.gather(
        serve(server, recipe.take("server", having="make serve").text),
        *(baresip(machines[name], voice) for name, voice in (("phone", 0), ("guest", 6), ("outside", 9))),
    )
    for running in edges:
        await eventually(lambda running=running: "Listening on" in running.log)

    async def call(phone: Baresip, by: Machine) -> None:
        phone.machine.write(replace(account, text=account.text.replace(edge.address, by.address)))
        await phone.run(dial.text.replace(edge.address, by.address))

    await call(phones[0], edge)
    await call(phones[1], second)
    await hear_each_other(*phones[:2])
    await edges[0].stop(signal.SIGKILL)
    await call(phones[2], second)
    await hear_each_other(*phones)
    assert not recipe.left
    await stopped(serving)


async def test_when_it_does_not_work(machines: Machines) -> None:
    """With the README's first call: two phones on the server's own machine, which has a network as well."""
    recipe = Recipe("When it does not work")
    machine = machines["server"]
    (machine.home / "my.toml").write_text("[sip]\ntrace = true\n")
    serving = await serve(machine, recipe.take("server", having="make serve").text)
    readme = (ROOT / "README.md").read_text()
    (dial,) = re.findall(r"^baresip .*$", readme, re.MULTILINE)
    ((start, *typed),) = re.findall(r"^(.* linphonec) +# then type: (.*)\n +# +(.*)$", readme, re.MULTILINE)
    one = Baresip(machine, FREQUENCIES[0], "examples/phone")
    one.without_sound_card()
    await one.run(dial)
    two = Linphone(machine, FREQUENCIES[6])
    await two.run(start)
    await two.type("\n".join(typed))
    await hear_each_other(one, two)

    speaker, listener = re.findall(r'"call_incoming", "call_id": "([^"]*)"', serving.log)
    why = recipe.take("server", having="/hears/").text
    for name, value in (("LISTENER", listener), ("SPEAKER", speaker)):
        assert name in why
        why = why.replace(name, value)
    assert '"hears":true' in await machine.run(why)
    ladder = await machine.run(recipe.take("server", having="ladder").text)
    assert re.search(r"<-- udp:\S+ INVITE sip:standup@127.0.0.1", ladder) and "200 OK (INVITE)" in ladder
    assert not recipe.left
    await stopped(serving)


async def test_every_recipe_is_run() -> None:
    ran = {name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")}
    assert {title.lower() for title in titles()} <= ran
