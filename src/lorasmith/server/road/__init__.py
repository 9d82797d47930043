"""The road as requests: one module a screen; each calls the function that the command line calls."""
