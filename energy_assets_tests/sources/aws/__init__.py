"""Tests of the AWS sources."""
