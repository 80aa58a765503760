"""Policy of guarded operations: which of them are allowed, which need a human, which are denied. Pure."""
