"""Programs as jobs of Nomad, by its published job specification."""
