"""Real servers for the tests: each starts in seconds on free loopback ports, runs in parallel, and leaves nothing behind."""
