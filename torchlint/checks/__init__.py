"""The rules: one short function each, over a loss call."""
