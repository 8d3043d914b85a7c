"""A network of real processes under load while everything in it is killed: load, ledger, killer, checker."""
