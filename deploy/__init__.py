"""How Staff Passport is run: development stack, demonstration, containers."""
