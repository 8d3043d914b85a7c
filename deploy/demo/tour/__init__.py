"""The tour: one self-contained page that shows what the demonstration did, field by field."""
