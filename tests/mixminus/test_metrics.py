"""What /metrics says of the server's parts."""

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest

from media.shared import COUNTERS, LEVELS, QUALITY, spread
from mixminus.figures import figure
from mixminus.metrics import exposition
from sip.access import Access
from sip.endpoint import Endpoint, EndpointConfig
from sip.trunks import Trunks
from tests.support.exchange import Exchange


async def kinds(**sources):
    """The kind of each metric, by name."""
    figures = {name: lambda found=found: found for name, found in sources.items()}
    text = exposition(Exchange().switchboard, Trunks([]), figures, lambda: {})().decode()
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


async def test_what_goes_down_again_is_a_gauge_and_what_only_grows_a_counter():
    endpoint = Endpoint(EndpointConfig(access=Access(), random=Random(1)))
    told = await kinds(
        sip=endpoint.size() | {"sent": 3}, media=dict.fromkeys(LEVELS | {"beats"}, 1), webhooks={"waiting": 1}
    )
    for name in endpoint.size():
        assert told[f"mixminus_sip_{name}"] == "gauge", name
    for name in LEVELS:
        assert told[f"mixminus_media_{name}"] == "gauge", name
    assert told["mixminus_webhooks_waiting"] == "gauge"
    assert told["mixminus_sip_sent_total"] == told["mixminus_media_beats_total"] == "counter"


COUNTED = re.compile(r"""statistics\[f?"([^"]+)"\]""")
FILLED = {"{status // 100}": "2", "{response.status // 100}": "2", "{self.transport}": "tcp"}


@pytest.mark.parametrize("source, folder", [("sip", "sip"), ("webhooks", "api")])
def test_everything_that_is_counted_says_what_it_is(source, folder):
    names = {name for file in Path(folder).glob("*.py") for name in COUNTED.findall(file.read_text())}
    assert names
    for name in names:
        for part, filled in FILLED.items():
            name = name.replace(part, filled)
        assert figure(source, re.sub(r"\{.*\}", "INVITE", name)) is not None, name


def test_every_figure_of_media_says_what_it_is_and_those_that_fall_again_are_levels():
    for name in COUNTERS:
        assert figure("media", name).level == (name in LEVELS), name
    quality = np.ones(3, QUALITY)
    for name in spread(quality):
        assert figure("media", name).level, name


async def test_what_has_not_happened_yet_is_zero_and_not_absent():
    figures = {"sip": dict, "media": dict, "webhooks": dict}
    text = exposition(Exchange().switchboard, Trunks([]), figures, lambda: {})().decode()
    assert "mixminus_sip_malformed_total 0.0" in text and "mixminus_webhooks_failed_total 0.0" in text
