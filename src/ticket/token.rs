//! The first token of a Kerberos initiator (RFC 4121 4.1 in the frame of RFC 2743 3.1): what can be read on the outside of the
//! ticket in it. Nothing of the token is copied but the outer fields, and nothing in it is decrypted.

use super::der::{Bad, Reader, application};
use super::message::{AP_REQ, VERSION};
use super::reply::{TicketRead, ticket};

/// The frame's tag: [APPLICATION 0] (RFC 2743 3.1).
const FRAME: u8 = application(0);

/// OBJECT IDENTIFIER 1.2.840.113554.1.2.2 with its tag and length: the Kerberos mechanism (RFC 4121 4.1).
const KERBEROS: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];

/// TOK_ID of a KRB_AP_REQ (RFC 4121 4.1).
const TOKEN: [u8; 2] = [0x01, 0x00];

/// The largest token that Windows can be told to make (MaxTokenSize).
const MOST_OCTETS: usize = 65_535;

/// The ticket in this token.
pub(super) fn outside(token: &[u8]) -> Result<TicketRead<'_>, Bad> {
    if token.len() > MOST_OCTETS {
        return Err(Bad::Length);
    }
    let mut frame = Reader::new(token);
    let content = frame.expect(FRAME)?;
    frame.end()?;
    let inner = content.rest().strip_prefix(&KERBEROS).ok_or(Bad::Trailing)?;
    let inner = inner.strip_prefix(&TOKEN).ok_or(Bad::Trailing)?;
    let mut message = Reader::new(inner);
    let mut request = message.expect(application(AP_REQ))?.sequence()?;
    message.end()?;
    for (field, expected) in [(0, VERSION), (1, i64::from(AP_REQ))] {
        if request.field(field, Reader::integer)? != expected {
            return Err(Bad::Number(1));
        }
    }
    request.field(2, Reader::skip)?;
    let found = request.field(3, ticket)?;
    request.field(4, Reader::skip)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::der::{Octets, field, flags, integer, octets, sequence, string, wrap};
    use super::super::message::Name;
    use super::*;
    use crate::model::ticket::EncryptionType;

    fn token(mechanism: &[u8], id: &[u8]) -> Octets {
        let sealed = |kind, version: i64| {
            sequence(&[
                &field(0, &integer(kind)),
                &field(1, &integer(version)),
                &field(2, &octets(b"sealed")),
            ])
        };
        let name = sequence(&[
            &field(0, &integer(2)),
            &field(1, &sequence(&[&string(b"MSSQLSvc"), &string(b"sql01:1433")])),
        ]);
        let ticket = sequence(&[
            &field(0, &integer(5)),
            &field(1, &string(b"CORP.CONTOSO.COM")),
            &field(2, &name),
            &field(3, &sealed(18, 7)),
        ]);
        let request = sequence(&[
            &field(0, &integer(5)),
            &field(1, &integer(14)),
            &field(2, &flags(0x2000_0000)),
            &field(3, &wrap(application(1), &[&ticket])),
            &field(4, &sealed(18, 0)),
        ]);
        wrap(FRAME, &[mechanism, id, &wrap(application(AP_REQ), &[&request])])
    }

    #[test]
    fn what_stands_outside() {
        let whole = token(&KERBEROS, &TOKEN);
        let read = outside(&whole).unwrap();
        assert_eq!(read.realm, b"CORP.CONTOSO.COM");
        assert!(read.server.is(&Name::service("mssqlsvc/SQL01:1433")));
        assert_eq!((read.sealed.kind, read.sealed.key_version), (EncryptionType::AES256, Some(7)));
        // SPNEGO (RFC 4178), another message of the mechanism, more than a token.
        assert!(outside(&token(&[0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02], &TOKEN)).is_err());
        assert!(outside(&token(&KERBEROS, &[0x02, 0x00])).is_err());
        assert!(outside(&[&whole[..], &[0]].concat()).is_err());
        assert_eq!(outside(&vec![0x60; MOST_OCTETS + 1]).err(), Some(Bad::Length));
    }

    #[test]
    fn no_change_makes_it_panic() {
        let whole = token(&KERBEROS, &TOKEN);
        for cut in 0..whole.len() {
            assert!(outside(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x1b, 0x30, 0x7f, 0x80, 0x84, 0xa0, 0xff] {
                let mut changed = whole.to_vec();
                changed[at] = value;
                let _ = outside(&changed);
            }
        }
    }
}
