"""Sources: how bytes come in. One folder per provider, each with client (wire), parse (pure) and source."""
