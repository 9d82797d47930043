"""Adapters: algorithms, the bank that applies any number of them to a base, names, files and hashes."""
