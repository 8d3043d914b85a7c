"""Mutation testing of the pure code: which change of one check, bound or answer would no test notice."""
