"""Running a program with no network but the gateway. Standard library only: it starts quickly."""
