"""Grid intensity from the Electricity Maps API."""
