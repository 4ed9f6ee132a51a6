"""What every stage shares: artifacts, records, recipes, configuration, generation engines."""
