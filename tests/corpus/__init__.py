"""Mail for tests, the benchmark and the demo.

realistic.py makes it as people get it, torture.py as nobody wants it; spamassassin.py is mail that was sent.
"""
