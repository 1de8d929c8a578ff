"""Mail made for tests, the benchmark and the demo: realistic.py as people get it, torture.py as nobody wants it."""
