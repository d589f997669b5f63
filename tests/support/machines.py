"""The machines of docs/recipes.md, with their addresses as they stand there: each a network namespace.

    192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24      one wire, which passes packets on between them
        server .10, edge .11, second .12, phone .51, guest .52
        carrier 203.0.113.5, its telephones .6 and .7, spare 203.0.113.21
        outside 198.51.100.51, and the router's interface "wan", 198.51.100.7
    192.168.1.0/24                                     behind the router, which masquerades
        inner .10, beside .51

Every machine has a home, which its programs see as /root and /home/alice, and a folder `etc` in it that they
see as /etc/kamailio.
"""

import asyncio
import os
import pwd
import shutil
import signal
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.namespaces import Network, entered, run
from tests.support.recipes import Block

PLACES = {
    "server": "192.0.2.10",
    "edge": "192.0.2.11",
    "second": "192.0.2.12",
    "phone": "192.0.2.51",
    "guest": "192.0.2.52",
    "carrier": "203.0.113.5",
    "telephone": "203.0.113.6",
    "caller": "203.0.113.7",
    "spare": "203.0.113.21",
    "outside": "198.51.100.51",
    "inner": "192.168.1.10",
    "beside": "192.168.1.51",
}
WIRES = {"wire": "br0", "router": "lan"}
"""The bridge of each machine that has one."""
MASQUERADE = """
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "wan" masquerade
    }
}
"""
AT_HOME = """
mount -t tmpfs none /home
mkdir -p /home/alice /etc/kamailio
mount --bind "$0/etc" /etc/kamailio
mount --bind "$0" /home/alice
mount --bind "$0" "$1"
shift
cd /home/alice
exec "$@"
"""


class Running:
    """A program that a machine has been told to run, with all that it has started."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.log_file = process, log

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    async def stop(self, number: int = signal.SIGTERM) -> None:
        """At once, with the whole group."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, number)
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except TimeoutError:
                os.killpg(self.process.pid, signal.SIGKILL)
                await self.process.wait()


class Machine:
    """One of them; `home` is a folder of ours."""

    seen = "/home/alice"
    """The home as its programs see it."""

    def __init__(self, namespace: str, address: str, home: Path) -> None:
        self.namespace, self.address, self.home = namespace, address, home
        self.running: list[Running] = []
        (home / "etc").mkdir(parents=True)

    def network(self) -> AbstractContextManager[None]:
        """Sockets that this thread makes meanwhile are on this machine. No waiting within."""
        return entered(self.namespace)

    def write(self, block: Block) -> None:
        """At the end of that file."""
        file = self.home / block.file.removeprefix("~/")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:
            out.write(block.text)

    async def start(self, commands: str) -> Running:
        """A shell that runs them, with pipes for what is typed and a file for what is said."""
        log = self.home / f"log-{len(self.running)}"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", self.namespace, *self._shell(), "-euc", commands),
                cwd=self.home,
                env={
                    **{key: value for key, value in os.environ.items() if key != "MAKEFLAGS"},
                    "HOME": self._root(),
                    "LOGNAME": "root",
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.running.append(Running(process, log))
        return self.running[-1]

    async def run(self, commands: str) -> str:
        """What they say, when they are done and have succeeded."""
        started = await self.start(commands)
        await asyncio.wait_for(started.process.wait(), 90)
        assert started.process.returncode == 0, f"{commands}\n{started.log}"
        return started.log

    async def off(self) -> None:
        for program in reversed(self.running):
            await program.stop(signal.SIGKILL)

    def _root(self) -> str:
        return pwd.getpwuid(0).pw_dir

    def _shell(self) -> tuple[str, ...]:
        return ("sh", "-euc", AT_HOME, str(self.home), self._root(), "bash")


class Server(Machine):
    """One whose home is the folder of the project, as far as its commands need it."""

    def __init__(self, namespace: str, address: str, home: Path, project: Path, environment: Path) -> None:
        super().__init__(namespace, address, home)
        for name in ("Makefile", "pyproject.toml"):
            (home / name).symlink_to(project / name)
        shutil.copytree(project / "examples", home / "examples")
        (home / ".venv").mkdir()
        for part in environment.iterdir():
            (home / ".venv" / part.name).symlink_to(part)
        stamp = home / ".venv/.serve"  # it is installed; an older stamp would have make look for the network
        stamp.unlink(missing_ok=True)
        stamp.touch()
        self.seen = str(home)

    def _root(self) -> str:
        return self.seen

    def _shell(self) -> tuple[str, ...]:
        return ("bash",)  # it sees this machine's folders, wherever the project lies


class Machines(Network):
    """`with Machines(folder, project, environment) as machines: machines["phone"]`"""

    def __init__(self, folder: Path, project: Path, environment: Path) -> None:
        super().__init__()
        self._folder, self._project, self._environment = folder, project, environment
        self._prefix = f"mixminus-{os.getpid()}"
        self._made: dict[str, Machine] = {}

    def __getitem__(self, name: str) -> Machine:
        return self._made[name]

    async def off(self) -> None:
        """Nothing runs any more, and every home is empty."""
        for name, machine in self._made.items():
            await machine.off()
            shutil.rmtree(machine.home)
            self._made[name] = self._machine(name, machine.address)

    def _machine(self, name: str, address: str) -> Machine:
        namespace, home = self._name(name), self._folder / name
        if name in ("server", "inner"):
            return Server(namespace, address, home, self._project, self._environment)
        return Machine(namespace, address, home)

    def _name(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _up(self) -> None:
        for name, bridge in WIRES.items():
            self._add(self._name(name), router=True)
            self._ip(name, f"link add {bridge} type bridge", f"link set {bridge} up")
        networks = ("192.0.2", "198.51.100", "203.0.113")
        self._ip("wire", *(f"address add {network}.1/24 dev br0" for network in networks))
        # No redirects: a phone is to send to its gateway, as on a wire of its own.
        for key in ("all", "br0"):
            self._sysctl(self._name("wire"), f"net/ipv4/conf/{key}/send_redirects", "0")
        self._ip("router", "address add 192.168.1.1/24 dev lan")
        self._plug("router", "wan", "198.51.100.7", "wire")
        self._filter(self._name("router"), MASQUERADE)
        self._made["router"] = self._machine("router", "198.51.100.7")
        for name, address in PLACES.items():
            self._add(self._name(name))
            self._plug(name, "eth0", address, "router" if address.startswith("192.168.") else "wire")
            self._made[name] = self._machine(name, address)

    def _plug(self, name: str, interface: str, address: str, wire: str) -> None:
        gateway = address.rpartition(".")[0] + ".1"
        peer = f"p{name}"
        self._ip(wire, f"link add name {peer} type veth peer name {interface} netns {self._name(name)}")
        self._ip(wire, f"link set {peer} master {WIRES[wire]}", f"link set {peer} up")
        self._ip(
            name,
            f"link set {interface} up",
            f"address add {address}/24 dev {interface}",
            f"route add default via {gateway}",
        )

    def _ip(self, name: str, *commands: str) -> None:
        run("ip", "-n", self._name(name), "-batch", "-", text="\n".join(commands))
