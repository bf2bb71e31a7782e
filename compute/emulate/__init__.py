"""The `emulate` job: a trained forest over the whole cube."""
