"""Dry days, spells, wet seasons and drought indices of daily series, as compiled functions of plain arrays."""
