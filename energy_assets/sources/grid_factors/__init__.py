"""Grid factors of a year or a month, written down in site.yaml."""
