"""Routes: parse, call one operation, map, return."""
