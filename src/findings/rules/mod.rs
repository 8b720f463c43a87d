//! The two written-out lists. Only a symptom sees the causes' outcomes. A new finding is one file here, one line below.

use super::Rule;

mod duplicate_spn;
mod missing_spn;
mod ntlm_fallback;

/// Rules that look at evidence alone.
pub const CAUSES: &[&Rule] = &[&missing_spn::RULE, &duplicate_spn::RULE];

/// Rules that look at the causes' outcomes too.
pub const SYMPTOMS: &[&Rule] = &[&ntlm_fallback::RULE];

/// Every rule, causes first.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    CAUSES.iter().chain(SYMPTOMS).copied()
}
