"""SIP: a protocol core without I/O (`sip.endpoint`) and its asyncio shell (`sip.shell`)."""
