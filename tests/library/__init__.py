"""The library of adapters and bases."""
