"""G.711."""

ULAW = 0
ALAW = 1
