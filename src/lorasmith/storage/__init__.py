"""What lies on disk: files written whole or not at all, locks between processes, SQLite files with versions."""
