"""The workflow around the steps: configuration, targets, the map of artifacts, the driver, the plan and estimates."""
