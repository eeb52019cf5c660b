"""The one abstraction: a `Target` answers a `Call` with a `Reply`, and a `Layer` wraps one."""
