"""Benchmarks: how fast, in how much memory, and how much dearer than the same work written by hand.

They are no tests: they print what they measure and whether it keeps its limit, and always end well.
"""
