"""A four-layer soil-water column: JULES equations, not JULES. It has no energy balance, no snow and no frozen soil."""
