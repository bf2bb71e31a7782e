"""Published versions as STAC: items, collections, catalogue, validation."""
