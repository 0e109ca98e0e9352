"""Reports: the same diagnostics as text, as one line each, as JSON, and as CI servers read them."""
