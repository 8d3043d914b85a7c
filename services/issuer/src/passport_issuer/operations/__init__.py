"""One file per noun with its whole life: load, apply rules, store, emit."""
