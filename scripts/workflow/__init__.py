"""Around the run: configuration, targets, the map of artifacts, the driver, the plan and what it costs."""
