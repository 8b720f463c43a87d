//! Samples of small values: names, SPNs, SIDs, a fixed moment.

use std::time::{Duration, Instant, SystemTime};

use crate::expected::{Expected, Requirement, SpnKind};
use crate::model::account::Sid;
use crate::model::host::HostName;
use crate::model::instance::ClockReading;
use crate::model::observed::Now;
use crate::model::spn::Spn;

/// The FQDN of the sample server.
pub(crate) const FQDN: &str = "sql01.corp.contoso.com";
/// The SPN of its port, required.
pub(crate) const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";
/// The SPN of its name alone, recommended.
pub(crate) const NAME: &str = "MSSQLSvc/sql01.corp.contoso.com";
/// 2026-11-25 00:00 UTC.
pub(super) const NOW: u64 = 1_795_564_800;

/// A fixed moment. The monotonic part is arbitrary, as `Instant` has no zero.
#[expect(clippy::disallowed_methods, reason = "a monotonic moment has no other constructor")]
pub(crate) fn now() -> Now {
    static MONO: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    Now { mono: *MONO, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW) }
}

/// A host name.
pub(crate) fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// An SPN.
pub(crate) fn spn(text: &str) -> Spn {
    Spn::parse(text).unwrap()
}

/// An expected SPN of the instance, required.
pub(crate) fn expected(text: &str) -> Expected {
    Expected {
        spn: spn(text),
        kind: SpnKind::Instance,
        requirement: Requirement::Required,
        why: "sample".into(),
        is_automatic: true,
        is_proven_ours: true,
        is_short: false,
        group: None,
    }
}

/// A SID of the domain CORP with this relative identifier.
pub(crate) fn domain_sid(rid: u32) -> Sid {
    let mut bytes = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
    bytes.extend(rid.to_le_bytes());
    Sid::from_bytes(&bytes).unwrap()
}

/// A SID that depends on the name alone.
pub(crate) fn sid(name: &str) -> Sid {
    let n = name.bytes().fold(1_000_u32, |n, b| n.wrapping_mul(31).wrapping_add(u32::from(b)));
    domain_sid(n)
}

pub(super) const fn clock() -> ClockReading {
    ClockReading { peer: NOW as f64, ours: NOW as f64, round_trip: 0.01 }
}
