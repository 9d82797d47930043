"""A layer under adapters, whatever their algorithm: factors, strengths, and what acts beside the layer."""
