"""The forms of the attribution network, the fingerprint network, and a control."""
