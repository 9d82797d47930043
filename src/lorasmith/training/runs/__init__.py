"""What a run leaves on disk: its folder, events, state, snapshots and their headers; sweeps of them."""
