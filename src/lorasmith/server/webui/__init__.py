"""The API that Stable Diffusion web UI clients speak, /sdapi/v1 (U5): their names, their units, their defaults.

Unknown fields are ignored, since clients differ; wrong values are answered with 422 and the field's name.
"""
