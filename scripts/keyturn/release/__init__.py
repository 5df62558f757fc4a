"""From a bundle directory to what a release publishes."""
