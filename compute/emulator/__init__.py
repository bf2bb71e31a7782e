"""A fast emulator of a land-surface model: features, forest, inference."""
