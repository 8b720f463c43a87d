//! What this machine knows: its names, its addresses, the hosts file.
