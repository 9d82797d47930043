"""The library's face: what `import lorasmith` offers, and the stages of the road that the command line calls, too."""
