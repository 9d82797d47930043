"""Tags: read, made by a tagger, and turned into captions by rules that can be undone."""
