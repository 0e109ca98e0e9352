"""The rules: one short function each, over an event such as a loss call."""
