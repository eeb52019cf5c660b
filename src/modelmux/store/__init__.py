"""Where what outlives a call is kept."""
