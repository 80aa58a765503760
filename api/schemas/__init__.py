"""What travels over the wire: strict pydantic models for what comes in, plain functions for what goes out."""
