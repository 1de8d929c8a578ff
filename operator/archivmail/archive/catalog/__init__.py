"""The catalog: a database of placements, envelopes and the text index. The only home of SQLAlchemy."""
