"""Sandbox: a small synthetic company behind real wire protocols, for the demo and the tests."""
