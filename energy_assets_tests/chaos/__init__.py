"""A campaign of faults against a small site, and the proof that it ends with what a quiet store holds."""
