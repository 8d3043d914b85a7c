"""What takes minutes or hours to prove: `make soak` runs it, `make test` does not."""
