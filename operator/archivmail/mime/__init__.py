"""Octets to envelope and text. Total functions: no octets make them raise or run without bound."""
