"""The words of archivmail as values: frozen, without IO, without a clock, without third-party imports."""
