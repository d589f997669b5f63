"""REST in and webhooks out: HTTP and JSON, over what `calls` means. No SIP text, no XML, no sound."""
