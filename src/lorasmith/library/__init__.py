"""The library: which adapters and bases a user has, what they are, what was noted about them. No torch, no network."""
