"""Alerts and events as a Redis Stream, for whoever listens; see docs/stream.md."""
