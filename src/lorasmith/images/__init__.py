"""Pictures on disk: opened safely, fingerprinted, measured and cut to size."""
