"""`cube doctor`: what a build needs, tried before it."""
