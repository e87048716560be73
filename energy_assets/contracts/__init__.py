"""Contracts: the tables of the lake as pandera models, and their audit as one aggregate query."""
