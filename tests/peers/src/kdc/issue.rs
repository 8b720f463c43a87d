//! How a reply with a ticket is made, and what may be untrue in it.
//! Whether there is to be one is decided in `answers`.

use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2, ExplicitContextTag3,
    ExplicitContextTag4, ExplicitContextTag5, ExplicitContextTag6, ExplicitContextTag7, ExplicitContextTag9,
    ExplicitContextTag10, OctetStringAsn1, Optional,
};
use picky_asn1_der::to_vec;
use picky_krb::constants::key_usages::{AS_REP_ENC, TICKET_REP};
use picky_krb::data_types::{
    EncTicketPart, EncTicketPartInner, LastReqInner, PrincipalName, Ticket, TicketInner, TransitedEncoding,
};
use picky_krb::messages::{AsRep, EncAsRepPart, EncKdcRepPart, EncTgsRepPart, KdcRep, TgsRep};

use super::answers::{Desk, Refused, fine, offered};
use super::types::{self, Key, flags, integer, name, number, sealed, string, suite, time};
use super::{AES128, Lie};

/// Name types (RFC 4120 6.2).
pub(super) const NT_PRINCIPAL: u32 = 1;
pub(super) const NT_SRV_INST: u32 = 2;

/// TicketFlags `enc-pa-rep` (RFC 6806 11), which Active Directory sets too.
const FLAGS: u32 = 0x0001_0000;

/// What a ticket is made of.
pub(super) struct Making<'a> {
    pub(super) client: PrincipalName,
    pub(super) client_realm: String,
    pub(super) service: String,
    /// The key of the service: its number, version, and the key where there is one.
    pub(super) kind: i32,
    pub(super) version: u32,
    pub(super) key: Option<Key>,
    /// What the reply is sealed with.
    pub(super) reply: &'a Key,
    pub(super) usage: i32,
    pub(super) ends: i64,
}

impl Desk<'_> {
    pub(super) fn issue(&self, making: Making<'_>) -> Result<Vec<u8>, Refused> {
        let offered = offered(self.body);
        let kind = offered.iter().copied().find(|kind| suite(*kind).is_some()).unwrap_or(AES128);
        let session = fine(Key::random(kind))?;
        self.keep(&session.octets);
        let now = fine(time(self.now()))?;
        let ends = fine(time(making.ends))?;
        let inner = EncTicketPart::from(EncTicketPartInner {
            flags: ExplicitContextTag0::from(flags(FLAGS)),
            key: ExplicitContextTag1::from(session.encode()),
            crealm: ExplicitContextTag2::from(string(&making.client_realm)),
            cname: ExplicitContextTag3::from(making.client.clone()),
            transited: ExplicitContextTag4::from(TransitedEncoding {
                tr_type: ExplicitContextTag0::from(integer(0)),
                contents: ExplicitContextTag1::from(OctetStringAsn1::from(Vec::new())),
            }),
            auth_time: ExplicitContextTag5::from(now.clone()),
            starttime: Optional::from(Some(ExplicitContextTag6::from(now.clone()))),
            endtime: ExplicitContextTag7::from(ends.clone()),
            renew_till: Optional::from(None),
            caddr: Optional::from(None),
            authorization_data: Optional::from(None),
        });
        let plain = fine(to_vec(&inner).ok())?;
        let enc_part = match &making.key {
            Some(key) => fine(key.seal(TICKET_REP, Some(making.version), &plain))?,
            None => sealed(
                making.kind.cast_unsigned(),
                Some(making.version),
                fine(types::random(plain.len() + 24).ok())?,
            ),
        };
        let realm = if self.lie == Some(Lie::Realm) { "OTHER.EXAMPLE" } else { self.spec.realm.as_str() };
        let service =
            if self.lie == Some(Lie::Service) { "MSSQLSvc/other.example:1" } else { making.service.as_str() };
        let ticket = Ticket::from(TicketInner {
            tkt_vno: ExplicitContextTag0::from(integer(5)),
            realm: ExplicitContextTag1::from(string(realm)),
            sname: ExplicitContextTag2::from(name(NT_SRV_INST, service)),
            enc_part: ExplicitContextTag3::from(enc_part),
        });
        self.keep(&fine(to_vec(&ticket).ok())?);
        let nonce = number(&self.body.nonce.0);
        let inside_service =
            if self.lie == Some(Lie::Ticket) { "MSSQLSvc/another.example:2" } else { service };
        let mut given = session.encode();
        if self.lie == Some(Lie::KeyLength) {
            given.key_value = ExplicitContextTag1::from(OctetStringAsn1::from(vec![7; 5]));
        }
        let inside = EncKdcRepPart {
            key: ExplicitContextTag0::from(given),
            last_req: ExplicitContextTag1::from(Asn1SequenceOf::from(vec![LastReqInner {
                lr_type: ExplicitContextTag0::from(integer(0)),
                lr_value: ExplicitContextTag1::from(now.clone()),
            }])),
            nonce: ExplicitContextTag2::from(integer(if self.lie == Some(Lie::Nonce) {
                nonce ^ 1
            } else {
                nonce
            })),
            key_expiration: Optional::from(None),
            flags: ExplicitContextTag4::from(flags(FLAGS)),
            auth_time: ExplicitContextTag5::from(now.clone()),
            start_time: Optional::from(Some(ExplicitContextTag6::from(now))),
            end_time: ExplicitContextTag7::from(ends),
            renew_till: Optional::from(None),
            srealm: ExplicitContextTag9::from(string(realm)),
            sname: ExplicitContextTag10::from(name(NT_SRV_INST, inside_service)),
            caddr: Optional::from(None),
            encrypted_pa_data: Optional::from(None),
        };
        let is_logon = making.usage == AS_REP_ENC;
        let plain =
            if is_logon { to_vec(&EncAsRepPart::from(inside)) } else { to_vec(&EncTgsRepPart::from(inside)) };
        let mut enc_part = fine(making.reply.seal(making.usage, None, &fine(plain.ok())?))?;
        match self.lie {
            Some(Lie::Cipher) => enc_part.cipher.0.0.iter_mut().for_each(|octet| *octet ^= 0x5a),
            Some(Lie::CipherType) => enc_part.etype = ExplicitContextTag0::from(integer(23)),
            _ => {}
        }
        let client =
            if self.lie == Some(Lie::Client) { name(NT_PRINCIPAL, "somebody") } else { making.client };
        let reply = KdcRep {
            pvno: ExplicitContextTag0::from(integer(5)),
            msg_type: ExplicitContextTag1::from(integer(if is_logon { 11 } else { 13 })),
            padata: Optional::from(None),
            crealm: ExplicitContextTag3::from(string(&making.client_realm)),
            cname: ExplicitContextTag4::from(client),
            ticket: ExplicitContextTag5::from(ticket),
            enc_part: ExplicitContextTag6::from(enc_part),
        };
        fine(if is_logon { to_vec(&AsRep::from(reply)) } else { to_vec(&TgsRep::from(reply)) }.ok())
    }
}
