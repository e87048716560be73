"""Raw assets: collect, land, parse and publish what sources deliver. One factory for every source."""
