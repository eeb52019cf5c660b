"""What outlives a call: protocols, and what keeps it in memory or in a file."""
