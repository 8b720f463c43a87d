//! The two written-out lists. Only a symptom sees the causes' outcomes. A new finding is one file here, one line below.

use super::Rule;

mod account_disabled;
mod account_expired;
mod account_locked;
mod account_not_found;
mod alias_spn_elsewhere;
mod alias_without_spn;
mod cannot_register_spn;
mod clock_skew;
mod clock_skew_exceeded;
mod delegation_forbidden;
mod delegation_missing;
mod delegation_target_unusable;
mod dns_address_not_listening;
mod domain_controller_down;
mod domain_controller_unreachable;
mod duplicate_spn;
mod dynamic_port;
mod dynamic_port_spn_at_risk;
mod encryption_mismatch;
mod endpoint_ntlm;
mod exporter_credentials_rejected;
mod exporter_overprivileged;
mod extended_protection_blocks_alias;
mod forward_dns_missing;
mod gmsa_not_retrievable;
mod hosts_file_override;
mod keytab_incomplete;
mod keytab_stale;
mod listener_account_mismatch;
mod listener_spn_missing;
mod local_account;
mod malformed_spn;
mod misplaced_spn;
mod missing_spn;
mod not_domain_joined;
mod ntlm_fallback;
mod outside_forest;
mod password_expired;
mod password_expiring;
mod permission_missing;
mod port_not_listening;
mod rc4_removal_breaks;
mod recommended_spn_elsewhere;
mod remote_tcp_off;
mod replication_lag;
mod restart_after_password_change;
mod restart_pending;
mod reverse_dns_mismatch;
mod reverse_dns_missing;
mod reverse_dns_mixed;
mod routing_url_mismatch;
mod server_name_mismatch;
mod service_account_changed_pending_restart;
mod short_name_spn_elsewhere;
mod spn_conflict;
mod stale_spn;
mod tcp_disabled;
mod ticket_refused;
mod ticket_wrong_key;
mod trust_unusable;
mod unconstrained_delegation;
mod upn_shadows_spn;
mod weak_encryption;
mod wrong_dns_suffix;

/// Rules that look at evidence alone, in the order of the catalogue.
pub const CAUSES: &[&Rule] = &[
    &missing_spn::RULE,
    &duplicate_spn::RULE,
    &misplaced_spn::RULE,
    &spn_conflict::RULE,
    &recommended_spn_elsewhere::RULE,
    &short_name_spn_elsewhere::RULE,
    &listener_spn_missing::RULE,
    &listener_account_mismatch::RULE,
    &alias_without_spn::RULE,
    &alias_spn_elsewhere::RULE,
    &routing_url_mismatch::RULE,
    &endpoint_ntlm::RULE,
    &stale_spn::RULE,
    &malformed_spn::RULE,
    &upn_shadows_spn::RULE,
    &replication_lag::RULE,
    &cannot_register_spn::RULE,
    &dynamic_port::RULE,
    &dynamic_port_spn_at_risk::RULE,
    &tcp_disabled::RULE,
    &remote_tcp_off::RULE,
    &restart_pending::RULE,
    &port_not_listening::RULE,
    &server_name_mismatch::RULE,
    &extended_protection_blocks_alias::RULE,
    &service_account_changed_pending_restart::RULE,
    &not_domain_joined::RULE,
    &account_disabled::RULE,
    &account_locked::RULE,
    &account_expired::RULE,
    &password_expired::RULE,
    &password_expiring::RULE,
    &restart_after_password_change::RULE,
    &gmsa_not_retrievable::RULE,
    &local_account::RULE,
    &account_not_found::RULE,
    &outside_forest::RULE,
    &encryption_mismatch::RULE,
    &weak_encryption::RULE,
    &rc4_removal_breaks::RULE,
    &ticket_refused::RULE,
    &ticket_wrong_key::RULE,
    &keytab_stale::RULE,
    &keytab_incomplete::RULE,
    &delegation_missing::RULE,
    &delegation_target_unusable::RULE,
    &unconstrained_delegation::RULE,
    &delegation_forbidden::RULE,
    &forward_dns_missing::RULE,
    &reverse_dns_mismatch::RULE,
    &reverse_dns_mixed::RULE,
    &reverse_dns_missing::RULE,
    &wrong_dns_suffix::RULE,
    &dns_address_not_listening::RULE,
    &hosts_file_override::RULE,
    &domain_controller_unreachable::RULE,
    &domain_controller_down::RULE,
    &clock_skew_exceeded::RULE,
    &clock_skew::RULE,
    &trust_unusable::RULE,
    &permission_missing::RULE,
    &exporter_credentials_rejected::RULE,
    &exporter_overprivileged::RULE,
];

/// Rules that look at the causes' outcomes too.
pub const SYMPTOMS: &[&Rule] = &[&ntlm_fallback::RULE];

/// Every rule, causes first.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    CAUSES.iter().chain(SYMPTOMS).copied()
}
