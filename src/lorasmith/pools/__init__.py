"""Pure work dealt out over processes: of this machine, or of a Ray cluster."""
