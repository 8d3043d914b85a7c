"""The trust registry: who is a member, and who may issue or ask for what."""
