"""Lorasmith over HTTP: one queue, one worker, two faces (our own API and the one web UI clients speak)."""
