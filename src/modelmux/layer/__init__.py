"""What happens to a call on its way: each module is one concern, as a `Layer`."""
