"""Pure codecs and checks: bytes in, values out; no network, no files, no clock."""
