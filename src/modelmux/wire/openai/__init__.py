"""What the wires of OpenAI's APIs share: errors, names of tools, media."""
