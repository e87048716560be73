"""Ours beside what meters, invoices and bills say of the same things: differences, and the steps that make them."""
