"""Packs: immutable `.tar.zst` files or objects that hold the messages (design §5). Know no catalog and no SQL."""
