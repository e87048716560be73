"""Certificates, contracts, supplier rates and residual mixes in files."""
