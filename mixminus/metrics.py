"""The server's figures in Prometheus' text format, read at each scrape from those who keep them."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from calls.switchboard import Switchboard

Figures = Callable[[], Mapping[str, float]]

# Which of the sources' figures are levels; all others only ever grow.
_LEVELS = frozenset(
    {
        "buffer_bytes",
        "dialogs",
        "late_calls",
        "legs",
        "plays",
        "ports_in_use",
        "sessions",
        "tcp_connections",
        "timers",
        "transactions",
        "unacknowledged_answers",
        "undelivered",
        "waiting",
    }
)


class _Figures(Collector):
    def __init__(self, switchboard: Switchboard, sources: Mapping[str, Figures]) -> None:
        self._switchboard = switchboard
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        board = self._switchboard
        yield GaugeMetricFamily("mixminus_calls", "Live calls", value=len(board.live_calls))
        yield CounterMetricFamily("mixminus_calls", "Calls since the start", value=board.calls_total)
        yield GaugeMetricFamily("mixminus_conferences", "Live conferences", value=len(board.live_conferences))
        yield GaugeMetricFamily(
            "mixminus_members", "Calls in conferences", value=board.live_conferences.member_count
        )
        yield CounterMetricFamily("mixminus_silent_legs", "Legs that fell silent", value=board.silent_total)
        for source, figures in self._sources.items():
            for name, value in sorted(figures().items()):
                kind = GaugeMetricFamily if _is_level(name) else CounterMetricFamily
                yield kind(f"mixminus_{source}_{name}", name.replace("_", " "), value=value)


def _is_level(name: str) -> bool:
    return name in _LEVELS or name.endswith(("_p50", "_p99", "_max"))


def exposition(switchboard: Switchboard, sources: Mapping[str, Figures]) -> Callable[[], bytes]:
    """A function that writes all figures as they are when it is called; `sources` by their prefix."""
    registry = CollectorRegistry()
    registry.register(_Figures(switchboard, sources))
    return lambda: generate_latest(registry)
