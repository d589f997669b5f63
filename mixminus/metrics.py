"""The server's figures in Prometheus' text format, read at each scrape from those who keep them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from calls.switchboard import Switchboard
from mixminus.figures import FIGURES, Figure, figure
from sip.trunks import Trunks

Figures = Callable[[], Mapping[str, float]]
Histograms = Callable[[], Mapping[str, Sequence[tuple[float, int]]]]

_BEATS = {"lateness": "How late beats began", "duration": "How long beats took"}


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
            "mixminus_ended_conferences", "Ended conferences that REST tells of", value=conferences.over
        )
        yield GaugeMetricFamily(
            "mixminus_streams", "Streams of events that are being read", value=len(board.gallery)
        )
        yield CounterMetricFamily(
            "mixminus_streams_missed", "Events that slow readers missed", value=board.gallery.missed
        )
        yield GaugeMetricFamily("mixminus_tasks", "Tasks of the event loop", value=len(asyncio.all_tasks()))
        yield from self._of_trunks()
        for source, figures in self._sources.items():
            unseen = {name: 0 for name, known in FIGURES[source].items() if not known.level}
            for name, value in sorted((unseen | dict(figures())).items()):
                known = figure(source, name) or Figure(name.replace("_", " "))
                kind = GaugeMetricFamily if known.level else CounterMetricFamily
                yield kind(f"mixminus_{source}_{name}", known.help, value=value)
        for name, counts in self._beats().items():
            buckets = [*((f"{bound:.6g}", count) for bound, count in counts), ("+Inf", counts[-1][1])]
            yield HistogramMetricFamily(
                f"mixminus_media_{name}_seconds", _BEATS[name], buckets=buckets, sum_value=None
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


def exposition(
    switchboard: Switchboard, trunks: Trunks, sources: Mapping[str, Figures], beats: Histograms
) -> Callable[[], bytes]:
    """A function that writes all figures as they are when it is called; `sources` by their prefix."""
    registry = CollectorRegistry()
    registry.register(_Figures(switchboard, trunks, sources, beats))
    return lambda: generate_latest(registry)
