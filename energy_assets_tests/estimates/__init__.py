"""Tests of estimates from bills."""
