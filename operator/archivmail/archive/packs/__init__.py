"""Packs: immutable .tar.zst files of messages, and the stores that keep them. The only home of obstore."""
