//! The answer to an LDAP ping (MS-ADTS 6.3.3): the AD site in which a domain controller sees this host. Pure; any
//! answer that does not fit the format gives no site.

/// Opcode of NETLOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS 6.3.1.9).
const LOGON_SAM_LOGON_RESPONSE_EX: u16 = 23;

/// The same for a user that does not exist, which is how a ping without a user may be answered (MS-ADTS 6.3.1.3).
const LOGON_SAM_USER_UNKNOWN_EX: u16 = 25;

/// Where the names begin: behind opcode, padding, flags and the domain's GUID (MS-ADTS 6.3.1.9).
const NAMES: usize = 24;

/// Names before ClientSiteName: forest, domain, host, NetBIOS domain, NetBIOS computer, user, DcSiteName.
const BEFORE_CLIENT_SITE: usize = 7;

/// ClientSiteName; `None` if it is empty or the answer is of another kind.
pub(super) fn client_site(blob: &[u8]) -> Option<String> {
    let opcode = blob.get(..2).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()).map(u16::from_le_bytes)?;
    if opcode != LOGON_SAM_LOGON_RESPONSE_EX && opcode != LOGON_SAM_USER_UNKNOWN_EX {
        return None;
    }
    let mut at = NAMES;
    for _ in 0..BEFORE_CLIENT_SITE {
        at = name(blob, at)?.1;
    }
    let (site, _) = name(blob, at)?;
    (!site.is_empty()).then_some(site)
}

/// A name compressed as in DNS (RFC 1035 4.1.4), and where the next one begins. A pointer may only lead backwards, so
/// that every chain ends.
fn name(blob: &[u8], start: usize) -> Option<(String, usize)> {
    let mut labels: Vec<&str> = Vec::new();
    let mut at = start;
    let mut end = None;
    let mut limit = start;
    loop {
        let length = usize::from(*blob.get(at)?);
        match length {
            0 => {
                let text = labels.join(".");
                return (text.len() <= 255).then_some((text, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                labels.push(std::str::from_utf8(blob.get(at + 1..at + 1 + length)?).ok()?);
                at += 1 + length;
            }
            192.. => {
                let target = ((length & 0x3f) << 8) | usize::from(*blob.get(at + 1)?);
                end.get_or_insert(at + 2);
                if target >= limit {
                    return None;
                }
                limit = target;
                at = target;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for name in names {
            bytes.push(u8::try_from(name.len()).unwrap());
            bytes.extend(name.as_bytes());
        }
        bytes
    }

    fn answer(opcode: u8, client_site: &[u8]) -> Vec<u8> {
        let mut blob = vec![opcode, 0, 0, 0];
        blob.extend([0; 20]);
        blob.extend(labels(&["corp", "contoso", "com"]));
        blob.push(0);
        blob.extend([0xc0, 24]); // domain: the forest's name again
        blob.extend(labels(&["dc1"]));
        blob.extend([0xc0, 24]);
        for name in ["CORP", "DC1"] {
            blob.extend(labels(&[name]));
            blob.push(0);
        }
        blob.push(0); // no user
        blob.extend(labels(&["Default-First-Site-Name"]));
        blob.push(0);
        blob.extend(client_site);
        blob.extend([5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        blob
    }

    #[test]
    fn the_site_of_this_host() {
        let mut site = labels(&["Zürich"]);
        site.push(0);
        assert_eq!(client_site(&answer(23, &site)).as_deref(), Some("Zürich"));
        assert_eq!(client_site(&answer(25, &site)).as_deref(), Some("Zürich"));
        assert_eq!(client_site(&answer(19, &site)), None);
        assert_eq!(client_site(&answer(23, &[0])), None);
    }

    #[test]
    fn hostile_answers() {
        let mut site = labels(&["Site"]);
        site.push(0);
        let whole = answer(23, &site);
        for length in 0..whole.len() - 8 {
            assert_eq!(client_site(&whole[..length]), None, "{length}");
        }
        // Pointers to themselves, forwards, in a circle; reserved label types; labels that are not text.
        let own = u8::try_from(answer(23, &[]).len() - 8).unwrap();
        for bad in
            [&[0xc0, own][..], &[0xc0, 0xff], &[0xff, 0xff], &[0x40, 0], &[0x80, 0], &[1, 0xff, 0], &[63]]
        {
            assert_eq!(client_site(&answer(23, bad)), None, "{bad:?}");
        }
        let mut circle = vec![23, 0, 0, 0];
        circle.extend([0; 20]);
        circle.extend([0xc0, 26, 0xc0, 24]);
        assert_eq!(client_site(&circle), None);
    }
}
