"""Management routes, one file per noun, each with its request and response models."""
