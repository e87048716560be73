"""KPIs: one function per indicator."""
