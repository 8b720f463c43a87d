//! The probe against a name server on loopback.
