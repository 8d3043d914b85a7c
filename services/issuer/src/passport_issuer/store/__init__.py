"""Tables, one file per noun, and migrations."""
