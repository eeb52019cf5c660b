"""Tests with real agents, which only `scripts/test-agents` installs: it says where they are."""

import os

collect_ignore_glob = [] if "MODELMUX_AGENTS" in os.environ else ["test_*.py"]
