"""One front door for models, tools and agents."""

__version__ = "0.1.0"
