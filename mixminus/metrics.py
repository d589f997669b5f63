"""The server's figures in Prometheus' text format, read at each scrape from those who keep them."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from calls.switchboard import Switchboard

Figures = Callable[[], Mapping[str, float]]

# What of the media process's figures is a level; all the rest only ever grows.
_MEDIA_LEVELS = frozenset({"legs", "plays", "ports_in_use", "buffer_bytes"})


class _Figures(Collector):
    def __init__(self, switchboard: Switchboard, media: Figures, sip: Figures) -> None:
        self._switchboard = switchboard
        self._media = media
        self._sip = sip

    def collect(self) -> Iterator[Metric]:
        board = self._switchboard
        yield GaugeMetricFamily("mixminus_calls", "Live calls", value=len(board.live_calls))
        yield CounterMetricFamily("mixminus_calls", "Calls since the start", value=board.calls_total)
        yield GaugeMetricFamily("mixminus_conferences", "Live conferences", value=len(board.live_conferences))
        yield GaugeMetricFamily(
            "mixminus_members", "Calls in conferences", value=board.live_conferences.member_count
        )
        yield CounterMetricFamily("mixminus_silent_legs", "Legs that fell silent", value=board.silent_total)
        for name, value in sorted(self._media().items()):
            yield _metric("mixminus_media", name, value, _is_level(name))
        for name, value in sorted(self._sip().items()):
            yield _metric("mixminus_sip", name, value, name in _SIP_LEVELS)


_SIP_LEVELS = frozenset({"sessions", "transactions", "connections", "bindings"})


def _is_level(name: str) -> bool:
    return name in _MEDIA_LEVELS or name.endswith(("_ms", "_seconds"))


def _metric(prefix: str, name: str, value: float, level: bool) -> Metric:
    kind = GaugeMetricFamily if level else CounterMetricFamily
    return kind(f"{prefix}_{name}", name.replace("_", " ").capitalize(), value=value)


def exposition(switchboard: Switchboard, media: Figures, sip: Figures) -> Callable[[], bytes]:
    """A function that writes all figures as they are when it is called."""
    registry = CollectorRegistry()
    registry.register(_Figures(switchboard, media, sip))
    return lambda: generate_latest(registry)
