"""Reports: the same diagnostics as text, as one line each, or as JSON."""
