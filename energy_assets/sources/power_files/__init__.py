"""Files of power readings, for machines whose meters are not in Prometheus."""
