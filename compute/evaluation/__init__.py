"""The `evaluate` job: how well a simulated product agrees with a reference, beside what any method must beat."""
