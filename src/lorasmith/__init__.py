"""Lorasmith: from a folder of images to a LoRA you can trust."""

__version__ = "0.1.0"
