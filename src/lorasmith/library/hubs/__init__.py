"""The public hubs of adapters: looked through, fetched from, asked by hash. What needs a network is in here only."""
