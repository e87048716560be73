"""Electricity invoices in files."""
