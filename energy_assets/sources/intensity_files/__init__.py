"""Grid intensity from files: Electricity Maps' hourly CSV exports."""
