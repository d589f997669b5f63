"""The server under a benchmark: ours, started for it as users do, or another that runs already."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import host
from tests.support.server import Server


@dataclass
class Subject:
    """`target` is the URI template to call; `processes` are root pids whose CPU time counts, by name.
    `clean`: our own server is to end without an error in its log."""

    target: str
    processes: dict[str, int] = field(default_factory=dict)
    server: Server | None = None
    clean: bool = True

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time by name; "all" is every process of the tree once."""
        named = {name: host.cpu_seconds(pid) for name, pid in self.processes.items()}
        everyone = {pid for root in self.processes.values() for pid in host.descendants(root)}
        return {**named, "all": sum(host.cpu_seconds(pid) for pid in everyone)}

    def counters(self) -> dict[str, float]:
        """What our own server counts; nothing of another."""
        return self.server.metrics() if self.server is not None else {}

    def hurry(self) -> None:
        """Before all else that runs on the machine."""
        for pid in {pid for root in self.processes.values() for pid in host.descendants(root)}:
            host.hurry(pid)

    def pin(self, cpus: set[int], *names: str) -> None:
        """These processes, or all, to these CPUs."""
        roots = [self.processes[name] for name in names or self.processes]
        for pid in {pid for root in roots for pid in host.descendants(root)}:
            host.pin(pid, cpus)


def _keep_apart(found: Subject, cpus: list[int]) -> None:
    os.sched_setaffinity(0, {cpus[-1]})
    found.pin({cpus[0]})
    with contextlib.suppress(PermissionError):  # only root may; a generator that is late voids its run
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def _let_go(cpus: list[int]) -> None:
    os.sched_setaffinity(0, set(cpus))
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def subject(
    target: str | None, pid: int | None, *, pinned: bool, application: str | None = None
) -> Iterator[Subject]:
    """Starts MixMinus on free ports, unless `target` names another server. It asks the `application` at that
    URL; without one its built-in document answers.

    `pinned`: the server on the machine's first CPU, the generator on its last, where there are two.
    """
    cpus = sorted(os.sched_getaffinity(0))
    apart = pinned and len(cpus) > 1
    if target is not None:
        found = Subject(target, {"server": pid} if pid else {})
        if apart:
            _keep_apart(found, cpus)
        try:
            yield found
        finally:
            _let_go(cpus)
        return
    takes = {
        "MIXMINUS_RTP__CODECS": '["OPUS", "G722", "PCMU", "PCMA", "L16/16000"]',
        "MIXMINUS_SIP__SRTP": '"optional"',
        "MIXMINUS_SIP__SRTP_KEYS_IN_CLEAR": "true",
    }
    server = Server(application, bare=application is None, rtp_ports=128, environment=takes)
    try:
        server.start()
        pids = server.pids
        processes = {"control": pids["control"]}
        processes |= {f"{name}": pid for name in ("media", "speech") for pid in pids[name][:1]}
        found = Subject(f"sip:room-{{room}}@127.0.0.1:{server.sip_port}", processes, server)
        if apart:
            _keep_apart(found, cpus)
        yield found
        server.stop(expect_clean=found.clean)
    finally:
        _let_go(cpus)
        server.close()
