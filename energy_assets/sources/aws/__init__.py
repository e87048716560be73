"""AWS: what its accounts deliver into buckets."""
