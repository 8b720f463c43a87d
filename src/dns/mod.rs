//! Forward, reverse and alias answers for the names that matter.
