"""Pure decisions: policy, mappings, state machines, gates."""
