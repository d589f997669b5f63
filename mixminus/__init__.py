"""The command line, the configuration and the wiring. Knows everybody, decides nothing."""
