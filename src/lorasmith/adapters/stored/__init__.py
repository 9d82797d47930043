"""Adapters in an object storage: found by name, fetched, hashed, kept on disk and in memory up to a number of bytes."""
