"""How a command ends, as a number for the shell.

What belongs here: the numbers. What does not: when a command ends with which (`cli`), and what is said (`telling`).
"""

FAILED = 1
"""Something failed; what is good is published."""
WRONG_USE = 2
"""The command or the site file is wrong; nothing was done. Click's own number, too."""
HOLES = 3
"""Done, with holes: something that should have been counted is missing or may be wrong, and is named."""
INTERRUPTED = 130
"""Somebody pressed Ctrl-C: 128 and the number of the signal, as shells have it."""
