"""What could be saved: one rule per module, what a person decided about it, and what it saved afterwards."""
