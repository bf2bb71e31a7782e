"""Summaries of a product over regions."""
