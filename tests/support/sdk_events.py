"""Events as the official Python SDK's models of webhooks read them."""

from collections.abc import Mapping
from typing import Any

import bandwidth

_IN_FEW = {"parentCallId", "transferCallerId", "transferTo", "privacy", "callerDisplayName"}


def lost(event: Mapping[str, Any]) -> set[str]:
    """The fields that an application does not find in the model of this event, though the model has them or
    the event says something in them. Raises pydantic's ValidationError for an event that the model refuses.

    Not all models have what the contract's tables have: what a transferred leg says of itself is in few, and
    two fields of initiate, which were seen in live events, are in none.
    """
    kind = str(event["eventType"])
    model = getattr(bandwidth, f"{kind[0].upper()}{kind[1:]}Callback")
    read = model.from_dict(event)
    found = {
        field.alias or name
        for name, field in model.model_fields.items()
        if getattr(read, name) is not None or event.get(field.alias or name) is None
    }
    return set(event) - found - _IN_FEW
