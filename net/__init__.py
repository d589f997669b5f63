"""HTTP requests out, to addresses that were checked. Not who asks, or why."""
