"""Estimates: energy of what a bill says was used, where nobody meters it."""
