"""The tiered cache: memory of this process over a level that processes share."""
