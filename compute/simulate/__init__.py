"""The `simulate` job: the four-layer soil-water column of every cell."""
