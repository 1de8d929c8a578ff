"""The archive: packs that hold the octets, a catalog that finds them."""
