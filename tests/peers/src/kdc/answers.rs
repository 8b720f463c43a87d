//! What the KDC answers to one request: the AS exchange (RFC 4120 3.1), the TGS exchange (3.3), and KRB-ERROR.
//! It issues what the protocol and its accounts allow, unless it is told to lie.

use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2, ExplicitContextTag4,
    ExplicitContextTag5, ExplicitContextTag6, ExplicitContextTag9, ExplicitContextTag10,
    ExplicitContextTag11, ExplicitContextTag12, OctetStringAsn1, Optional,
};
use picky_asn1_der::{from_bytes, to_vec};
use picky_krb::constants::key_usages::{
    AS_REP_ENC, AS_REQ_TIMESTAMP, TGS_REP_ENC_SESSION_KEY, TGS_REQ_PA_DATA_AP_REQ_AUTHENTICATOR,
    TGS_REQ_PA_DATA_AP_REQ_AUTHENTICATOR_CKSUM, TICKET_REP,
};
use picky_krb::crypto::CipherSuite;
use picky_krb::data_types::{
    Authenticator, EncTicketPart, EncryptedData, EtypeInfo2, EtypeInfo2Entry, PaData, PaEncTsEnc,
};
use picky_krb::messages::{ApReq, AsReq, KdcReq, KdcReqBody, KrbError, KrbErrorInner, TgsReq};

use super::issue::{Making, NT_SRV_INST};
use super::types::{self, Key, integer, kind, name, number, seconds, string, text, time};
use super::{AES256, KdcAccount, KdcBehaviour, KdcRequestSeen, KdcSpec, KdcTrust, Lie, State, Step, locked};

/// Error codes (RFC 4120 7.5.9).
const CLIENT_UNKNOWN: u32 = 6;
const SERVER_UNKNOWN: u32 = 7;
const TYPE_UNSUPPORTED: u32 = 14;
const PROOF_WRONG: u32 = 24;
const PROOF_REQUIRED: u32 = 25;
const BAD_INTEGRITY: u32 = 31;
const TICKET_EXPIRED: u32 = 32;
const SKEW: u32 = 37;
const MODIFIED: u32 = 41;
const GENERIC: u32 = 60;

/// MaxClockSkew of a domain by default, seconds.
const MOST_SKEW: i64 = 300;

/// Pre-authentication data (RFC 4120 7.5.2).
const PA_TGS_REQ: u32 = 1;
const PA_ENC_TIMESTAMP: u32 = 2;
const PA_ETYPE_INFO2: u32 = 19;

/// An answer, and how it is to be sent.
pub(super) struct Answer {
    pub(super) octets: Vec<u8>,
    pub(super) behaviour: KdcBehaviour,
}

/// An error code with its e-data; `GENERIC` where an encoding fails.
pub(super) struct Refused(u32, Option<Vec<u8>>);

impl From<u32> for Refused {
    fn from(code: u32) -> Self {
        Self(code, None)
    }
}

pub(super) fn fine<T>(value: Option<T>) -> Result<T, Refused> {
    value.ok_or(Refused(GENERIC, None))
}

/// `None` for what is no request of either kind.
pub(super) fn answer(request: &[u8], state: &State) -> Option<Answer> {
    let (request, is_logon) = match from_bytes::<AsReq>(request) {
        Ok(request) => (request.0, true),
        Err(_) => (from_bytes::<TgsReq>(request).ok()?.0, false),
    };
    let proof = padata(&request, PA_ENC_TIMESTAMP);
    let step = match (is_logon, &proof) {
        (true, None) => Step::Hello,
        (true, Some(_)) => Step::Proof,
        (false, _) => Step::Ticket,
    };
    let body = &request.req_body.0;
    let service = body.sname.0.as_ref().map(|name| text(&name.0)).unwrap_or_default();
    let hour = u64::try_from(types::wall_clock().0 / 3_600).unwrap_or_default();
    let encryption_types = offered(body);
    let client = body.cname.0.as_ref().map(|name| text(&name.0)).unwrap_or_default();
    let seen = KdcRequestSeen { step, client, service: service.clone(), encryption_types, hour };
    locked(&state.seen).push(seen);
    let behaviour = locked(&state.behaviours).get(&step).cloned().unwrap_or_default();
    let forced = match behaviour {
        KdcBehaviour::Error(code) => Some(code),
        _ => locked(&state.errors).get(&service.to_lowercase()).copied().filter(|_| !is_logon),
    };
    let lie = match behaviour {
        KdcBehaviour::Lie(lie) => Some(lie),
        _ => None,
    };
    let spec = locked(&state.spec).clone();
    let desk = Desk { state, spec: &spec, body, lie };
    let outcome = match (forced, is_logon) {
        (Some(code), _) => Err(code.into()),
        (None, true) => desk.log_on(proof),
        (None, false) => desk.ticket(&request),
    };
    let octets = match outcome {
        Ok(octets) => octets,
        Err(refused) => desk.error(refused)?,
    };
    Some(Answer { octets, behaviour })
}

fn padata(request: &KdcReq, wanted: u32) -> Option<Vec<u8>> {
    let list = request.padata.0.as_ref()?;
    let found = list.0.0.iter().find(|data| number(&data.padata_type.0) == wanted)?;
    Some(found.padata_data.0.0.clone())
}

pub(super) fn offered(body: &KdcReqBody) -> Vec<i32> {
    body.etype.0.0.iter().map(kind).collect()
}

/// One request on the table.
pub(super) struct Desk<'a> {
    pub(super) state: &'a State,
    pub(super) spec: &'a KdcSpec,
    pub(super) body: &'a KdcReqBody,
    pub(super) lie: Option<Lie>,
}

impl Desk<'_> {
    pub(super) fn now(&self) -> i64 {
        types::wall_clock().0 + *locked(&self.state.clock_offset)
    }

    pub(super) fn keep(&self, secret: &[u8]) {
        locked(&self.state.secrets).push(secret.to_vec());
    }

    fn salt(&self, account: &KdcAccount) -> String {
        format!("{}{}", self.spec.realm, account.name)
    }

    fn log_on(&self, proof: Option<Vec<u8>>) -> Result<Vec<u8>, Refused> {
        let client = fine(self.body.cname.0.as_ref())?.0.clone();
        let account =
            self.spec.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(&text(&client)));
        let account = account.ok_or(CLIENT_UNKNOWN)?;
        if let Some(code) = account.refusal {
            return Err(code.into());
        }
        let offered = offered(self.body);
        let common: Vec<i32> =
            account.encryption_types.iter().copied().filter(|kind| offered.contains(kind)).collect();
        let kind = *common.first().ok_or(TYPE_UNSUPPORTED)?;
        let salt = self.salt(account);
        if proof.is_none() && !account.gives_away {
            return Err(self.hints(&common, &salt));
        }
        let Some(key) = Key::of(kind, &account.password, &salt) else { return Err(TYPE_UNSUPPORTED.into()) };
        self.keep(&key.octets);
        if let Some(proof) = proof {
            let data = fine(from_bytes::<EncryptedData>(&proof).ok())?;
            let plain = key.open(AS_REQ_TIMESTAMP, &data).ok_or(PROOF_WRONG)?;
            let stamp = fine(from_bytes::<PaEncTsEnc>(&plain).ok())?;
            if (seconds(&stamp.patimestamp.0) - self.now()).abs() > MOST_SKEW {
                return Err(SKEW.into());
            }
        }
        let granting = Key { suite: CipherSuite::Aes256CtsHmacSha196, octets: self.state.key.clone() };
        self.issue(Making {
            client,
            client_realm: self.spec.realm.clone(),
            service: format!("krbtgt/{}", self.spec.realm),
            kind: AES256,
            version: 1,
            key: Some(granting),
            reply: &key,
            usage: AS_REP_ENC,
            ends: self.now() + *locked(&self.state.lifetime),
        })
    }

    /// KDC_ERR_PREAUTH_REQUIRED with the keys that there are.
    fn hints(&self, kinds: &[i32], salt: &str) -> Refused {
        let entries = kinds.iter().map(|kind| EtypeInfo2Entry {
            etype: ExplicitContextTag0::from(integer(kind.cast_unsigned())),
            salt: Optional::from(Some(ExplicitContextTag1::from(string(salt)))),
            s2kparams: Optional::from(None),
        });
        match to_vec(&EtypeInfo2::from(entries.collect::<Vec<_>>())) {
            Ok(info) => {
                Refused(PROOF_REQUIRED, to_vec(&Asn1SequenceOf::from(vec![pa(PA_ETYPE_INFO2, info)])).ok())
            }
            Err(_) => GENERIC.into(),
        }
    }

    fn ticket(&self, request: &KdcReq) -> Result<Vec<u8>, Refused> {
        let shown = fine(padata(request, PA_TGS_REQ))?;
        let shown = fine(from_bytes::<ApReq>(&shown).ok())?.0;
        let ticket = &shown.ticket.0.0;
        let own = format!("krbtgt/{}", self.spec.realm);
        let from = ticket.realm.0.0.to_string();
        let key = if !text(&ticket.sname.0).eq_ignore_ascii_case(&own) {
            None
        } else if from.eq_ignore_ascii_case(&self.spec.realm) {
            Some(Key { suite: CipherSuite::Aes256CtsHmacSha196, octets: self.state.key.clone() })
        } else {
            self.trust(&from).and_then(|trust| trust_key(trust, &from, &self.spec.realm))
        };
        let key = key.ok_or(BAD_INTEGRITY)?;
        let plain = key.open(TICKET_REP, &ticket.enc_part.0).ok_or(BAD_INTEGRITY)?;
        let inner = fine(from_bytes::<EncTicketPart>(&plain).ok())?.0;
        if seconds(&inner.endtime.0) < self.now() {
            return Err(TICKET_EXPIRED.into());
        }
        let session = fine(Key::read(&inner.key.0))?;
        let plain = session.open(TGS_REQ_PA_DATA_AP_REQ_AUTHENTICATOR, &shown.authenticator.0);
        let who = fine(from_bytes::<Authenticator>(&plain.ok_or(BAD_INTEGRITY)?).ok())?.0;
        if who.cname.0 != inner.cname.0 || (seconds(&who.ctime.0) - self.now()).abs() > MOST_SKEW {
            return Err(SKEW.into());
        }
        // As Windows does it: over the body as this side would have encoded it.
        let body = fine(to_vec(self.body).ok())?;
        let hasher = session.suite.cipher().checksum_type().hasher();
        let sum = hasher.checksum(&session.octets, TGS_REQ_PA_DATA_AP_REQ_AUTHENTICATOR_CKSUM, &body);
        let sent = who.cksum.0.map(|checksum| checksum.0.checksum.0.0);
        if sum.ok() != sent {
            return Err(MODIFIED.into());
        }
        let service = fine(self.body.sname.0.as_ref().map(|name| text(&name.0)))?;
        let (service, kind, version, key) = self.holder(&service)?;
        self.issue(Making {
            client: inner.cname.0,
            client_realm: inner.crealm.0.0.to_string(),
            service,
            kind,
            version,
            key,
            reply: &session,
            usage: TGS_REP_ENC_SESSION_KEY,
            ends: seconds(&inner.endtime.0),
        })
    }

    fn trust(&self, realm: &str) -> Option<&KdcTrust> {
        self.spec.trusts.iter().find(|trust| trust.realm.eq_ignore_ascii_case(realm))
    }

    /// The name that the ticket is for, and the key: of the service, or of the realm that leads to it.
    fn holder(&self, service: &str) -> Result<(String, i32, u32, Option<Key>), Refused> {
        let own = format!("krbtgt/{}", self.spec.realm);
        if service.eq_ignore_ascii_case(&own) {
            let key = Key { suite: CipherSuite::Aes256CtsHmacSha196, octets: self.state.key.clone() };
            return Ok((own, AES256, 1, Some(key)));
        }
        let holders: Vec<&KdcAccount> = self
            .spec
            .accounts
            .iter()
            .filter(|account| account.spns.iter().any(|spn| spn.eq_ignore_ascii_case(service)))
            .collect();
        if let [account] = holders.as_slice() {
            let offered = offered(self.body);
            let kind = account.encryption_types.iter().copied().find(|kind| offered.contains(kind));
            let kind = kind.ok_or(TYPE_UNSUPPORTED)?;
            let key = Key::of(kind, &account.password, &self.salt(account));
            if let Some(key) = &key {
                self.keep(&key.octets);
            }
            return Ok((service.to_owned(), kind, account.key_version, key));
        }
        // None, or several: Samba and most Windows versions do not tell them apart.
        let host = service.split_once('/').map_or("", |(_, host)| host);
        let is_at = |name: &str| {
            let host = host.split(':').next().unwrap_or_default().to_lowercase();
            host == name.to_lowercase() || host.ends_with(&format!(".{}", name.to_lowercase()))
        };
        let leads = |trust: &&KdcTrust| {
            service.eq_ignore_ascii_case(&format!("krbtgt/{}", trust.realm))
                || trust.names.iter().any(|name| is_at(name))
        };
        let next =
            self.spec.trusts.iter().find(leads).filter(|_| holders.is_empty()).ok_or(SERVER_UNKNOWN)?;
        let key = fine(trust_key(next, &self.spec.realm, &next.realm))?;
        self.keep(&key.octets);
        Ok((format!("krbtgt/{}", next.realm), AES256, 1, Some(key)))
    }

    fn error(&self, Refused(code, data): Refused) -> Option<Vec<u8>> {
        let server = self.body.sname.0.as_ref().map(|name| name.0.clone());
        let data = data.map(|data| ExplicitContextTag12::from(OctetStringAsn1::from(data)));
        let error = KrbError::from(KrbErrorInner {
            pvno: ExplicitContextTag0::from(integer(5)),
            msg_type: ExplicitContextTag1::from(integer(30)),
            ctime: Optional::from(None),
            cusec: Optional::from(None),
            stime: ExplicitContextTag4::from(time(self.now())?),
            susec: ExplicitContextTag5::from(integer(types::wall_clock().1)),
            error_code: ExplicitContextTag6::from(code),
            crealm: Optional::from(None),
            cname: Optional::from(None),
            realm: ExplicitContextTag9::from(string(&self.spec.realm)),
            sname: ExplicitContextTag10::from(server.unwrap_or_else(|| name(NT_SRV_INST, "krbtgt"))),
            e_text: Optional::from(Some(ExplicitContextTag11::from(string("a text\u{7} of the KDC")))),
            e_data: Optional::from(data),
        });
        to_vec(&error).ok()
    }
}

fn pa(kind: u32, value: Vec<u8>) -> PaData {
    PaData {
        padata_type: ExplicitContextTag1::from(integer(kind)),
        padata_data: ExplicitContextTag2::from(OctetStringAsn1::from(value)),
    }
}

/// The key of a trust in one direction. Both sides derive it.
fn trust_key(trust: &KdcTrust, from: &str, to: &str) -> Option<Key> {
    Key::of(AES256, &trust.password, &format!("{}krbtgt{}", from.to_uppercase(), to.to_uppercase()))
}
