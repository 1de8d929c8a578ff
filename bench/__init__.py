"""Measure archivmail beside its peers in one run: `make bench`. Numbers are reported, never asserted."""
