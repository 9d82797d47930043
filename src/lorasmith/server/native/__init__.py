"""Our own API, /api/v1: typed, documented, nothing unknown accepted."""
