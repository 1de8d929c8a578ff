"""Real servers for the tests: each starts in seconds on free loopback ports and leaves nothing behind."""
