"""The server's figures in Prometheus' text format, read at each scrape from those who keep them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from calls.switchboard import Switchboard
from media.shared import LEVELS
from sip.trunks import Trunks

Figures = Callable[[], Mapping[str, float]]
Histograms = Callable[[], Mapping[str, Sequence[tuple[float, int]]]]

# Which of the sources' figures are levels; all others only ever grow.
_LEVELS = LEVELS | frozenset(
    {
        "called",
        "dialogs",
        "late_calls",
        "sessions",
        "tcp_connections",
        "timers",
        "tls_connections",
        "transactions",
        "unacknowledged_answers",
        "undelivered",
        "unsettled",
        "waiting",
        "ws_connections",
        "wss_connections",
    }
)


class _Figures(Collector):
    def __init__(
        self, switchboard: Switchboard, trunks: Trunks, sources: Mapping[str, Figures], beats: Histograms
    ) -> None:
        self._switchboard = switchboard
        self._trunks = trunks
        self._sources = sources
        self._beats = beats

    def collect(self) -> Iterator[Metric]:
        board = self._switchboard
        calls, conferences = board.register, board.live_conferences
        yield GaugeMetricFamily("mixminus_calls", "Live calls", value=len(calls))
        yield CounterMetricFamily("mixminus_calls", "Calls since the start", value=calls.total)
        yield GaugeMetricFamily("mixminus_conferences", "Live conferences", value=len(conferences))
        yield GaugeMetricFamily("mixminus_members", "Calls in conferences", value=conferences.member_count)
        yield CounterMetricFamily("mixminus_silent_legs", "Legs that fell silent", value=board.silence.total)
        yield GaugeMetricFamily("mixminus_ended_calls", "Ended calls that REST tells of", value=calls.over)
        yield GaugeMetricFamily(
            "mixminus_ended_conferences", "Ended conferences, too", value=conferences.over
        )
        yield GaugeMetricFamily("mixminus_streams", "Streams of events", value=len(board.gallery))
        yield CounterMetricFamily(
            "mixminus_streams_missed", "Events that slow readers missed", value=board.gallery.missed
        )
        yield GaugeMetricFamily("mixminus_tasks", "Tasks of the event loop", value=len(asyncio.all_tasks()))
        yield from self._of_trunks()
        for source, figures in self._sources.items():
            for name, value in sorted(figures().items()):
                kind = GaugeMetricFamily if _is_level(name) else CounterMetricFamily
                yield kind(f"mixminus_{source}_{name}", name.replace("_", " "), value=value)
        for name, counts in self._beats().items():
            buckets = [*((f"{bound:.6g}", count) for bound, count in counts), ("+Inf", counts[-1][1])]
            yield HistogramMetricFamily(
                f"mixminus_media_{name}_seconds", f"Of the beats: {name}", buckets=buckets, sum_value=None
            )

    def _of_trunks(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("mixminus_trunk_up", "Whether the trunk answers", labels=["trunk"])
        calls = GaugeMetricFamily("mixminus_trunk_calls", "Its calls, in and out", labels=["trunk"])
        registered = GaugeMetricFamily(
            "mixminus_trunk_registered", "Whether we are registered there", labels=["trunk"]
        )
        for condition in self._trunks:
            name = [condition.trunk.name]
            up.add_metric(name, condition.up)
            calls.add_metric(name, condition.calls)
            if condition.registered is not None:
                registered.add_metric(name, condition.registered)
        yield from (up, calls, registered)


def _is_level(name: str) -> bool:
    return name in _LEVELS or name.endswith(("_p50", "_p99", "_max", "_min"))


def exposition(
    switchboard: Switchboard, trunks: Trunks, sources: Mapping[str, Figures], beats: Histograms
) -> Callable[[], bytes]:
    """A function that writes all figures as they are when it is called; `sources` by their prefix."""
    registry = CollectorRegistry()
    registry.register(_Figures(switchboard, trunks, sources, beats))
    return lambda: generate_latest(registry)
