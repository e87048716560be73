"""Mutation testing: changes the arithmetic one place at a time and asks whether a test notices."""
