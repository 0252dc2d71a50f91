"""What it costs to remove a fingerprint, or to forge one."""
