"""The engine's own tables."""
