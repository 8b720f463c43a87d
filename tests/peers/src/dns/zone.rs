//! The records of a DNS server and the answer they give to a question.
//!
//! Pure: what the server does with an answer, and when it lies, is `server`'s concern.

use std::collections::BTreeMap;
use std::io;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::DnsRecordSpec;

/// How long answers may be kept, in seconds: Active Directory's default for registered hosts is 20 minutes.
const TIME_TO_LIVE: u32 = 1200;

/// Longest chain of aliases that is followed; a loop ends here.
const LONGEST_CHAIN: usize = 16;

/// All records, by lower-case name.
#[derive(Default)]
pub(super) struct Zone(BTreeMap<Name, Vec<RData>>);

/// What the records say to one question.
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    pub(super) answers: Vec<Record>,
    /// The start of authority, which makes a negative answer a valid one (RFC 2308 section 2).
    pub(super) authority: Option<Record>,
}

impl Zone {
    pub(super) fn of(records: &[DnsRecordSpec]) -> io::Result<Self> {
        let mut zone = Self::default();
        for record in records {
            zone.add(record)?;
        }
        Ok(zone)
    }

    fn add(&mut self, record: &DnsRecordSpec) -> io::Result<()> {
        match (&record.name, record.address) {
            (Some(text), None) if record.ptr.is_empty() => {
                let mut data: Vec<RData> = record.a.iter().map(|&address| RData::A(A(address))).collect();
                data.extend(record.aaaa.iter().map(|&address| RData::AAAA(AAAA(address))));
                if let Some(target) = &record.cname {
                    data.push(RData::CNAME(CNAME(name(target)?)));
                }
                for service in &record.srv {
                    data.push(RData::SRV(SRV::new(0, 100, service.port, name(&service.target)?)));
                }
                self.0.entry(name(text)?).or_default().extend(data);
                Ok(())
            }
            (None, Some(address))
                if record.a.is_empty()
                    && record.aaaa.is_empty()
                    && record.cname.is_none()
                    && record.srv.is_empty() =>
            {
                let targets: Vec<RData> = record
                    .ptr
                    .iter()
                    .map(|target| Ok(RData::PTR(PTR(name(target)?))))
                    .collect::<io::Result<_>>()?;
                self.0.entry(Name::from(address).to_lowercase()).or_default().extend(targets);
                Ok(())
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a DNS record has either a name or an address with ptr: {record:?}"),
            )),
        }
    }

    pub(super) fn answer(&self, query: &Query) -> Reply {
        let mut current = query.name().to_lowercase();
        let mut answers = Vec::new();
        for _ in 0..LONGEST_CHAIN {
            // The owner is written as the client wrote it, since resolvers may vary its case on purpose.
            let owner = if answers.is_empty() { query.name().clone() } else { current.clone() };
            let Some(records) = self.0.get(&current) else { break };
            let wanted = records.iter().filter(|data| data.record_type() == query.query_type());
            let found: Vec<Record> =
                wanted.map(|data| Record::from_rdata(owner.clone(), TIME_TO_LIVE, data.clone())).collect();
            if !found.is_empty() {
                answers.extend(found);
                return Reply { code: ResponseCode::NoError, answers, authority: None };
            }
            let alias = records.iter().find_map(|data| match data {
                RData::CNAME(CNAME(target)) if query.query_type() != RecordType::CNAME => {
                    Some(target.clone())
                }
                _ => None,
            });
            let Some(target) = alias else { break };
            answers.push(Record::from_rdata(owner, TIME_TO_LIVE, RData::CNAME(CNAME(target.clone()))));
            current = target.to_lowercase();
        }
        // A name exists also when only names below it have records (RFC 8020).
        let exists = self.0.keys().any(|known| current.zone_of(known));
        let code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        Reply { code, answers, authority: Some(start_of_authority(&current)) }
    }
}

/// A name from text, absolute and in lower case.
fn name(text: &str) -> io::Result<Name> {
    let mut name =
        Name::from_ascii(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// A start of authority for the zone above `name`: whichever zone that is, a negative answer needs one.
fn start_of_authority(name: &Name) -> Record {
    let zone = if name.num_labels() > 1 { name.base_name() } else { Name::root() };
    let server = Name::from_ascii("dc1")
        .and_then(|server| server.append_domain(&zone))
        .unwrap_or_else(|_| zone.clone());
    let admin = Name::from_ascii("hostmaster")
        .and_then(|admin| admin.append_domain(&zone))
        .unwrap_or_else(|_| zone.clone());
    // Serial, refresh, retry, expire and minimum as a new zone of Microsoft's DNS server has them.
    Record::from_rdata(zone, 3600, RData::SOA(SOA::new(server, admin, 1, 900, 600, 86_400, 3600)))
}
