"""Bills in the FOCUS layout (and AWS's older Cost and Usage Report), from any provider and any store."""
