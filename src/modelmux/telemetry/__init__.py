"""What the gateway tells of itself: log and metrics, with secrets masked."""
