"""What /metrics says of the server's parts."""

from random import Random

from media.shared import LEVELS
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
