//! What the directory holds, read with OpenLDAP's `ldapsearch`: another program with other code than the exporter's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::domain::Lab;

/// Objects by distinguished name, each with the values of the attributes asked for.
pub(crate) type Objects = BTreeMap<String, Vec<(String, String)>>;

/// A forest of the lab, as `up` describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forest<'a> {
    lab: &'a serde_json::Value,
    /// Which of its servers is asked.
    pub(crate) server: usize,
}

impl<'a> Forest<'a> {
    /// The first forest.
    pub(crate) fn own(lab: &'a Lab) -> Self {
        Self { lab: &lab.about, server: 0 }
    }

    /// The trusting one.
    pub(crate) fn partner(lab: &'a Lab) -> Self {
        Self { lab: &lab.about["partner"], server: 0 }
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.lab
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// NetBIOS name of its domain.
    pub(crate) fn netbios(&self) -> &'a str {
        self.text("/netbios")
    }

    /// DNS name of its domain.
    pub(crate) fn dns(&self) -> &'a str {
        self.text("/dns")
    }

    /// Distinguished names of all objects of the forest that hold the SPN, by the Global Catalog.
    pub(crate) fn holders(&self, spn: &str) -> BTreeSet<String> {
        let filter = format!("(servicePrincipalName={spn})");
        self.search(3268, "", &filter, "sAMAccountName").into_keys().collect()
    }

    /// Distinguished name of the account.
    pub(crate) fn account(&self, sam: &str) -> String {
        let found =
            self.search(389, self.text("/base"), &format!("(sAMAccountName={sam})"), "sAMAccountName");
        assert_eq!(found.len(), 1, "{sam}: {found:?}");
        found.into_keys().next().unwrap()
    }

    /// A number in the account's attribute; 0 if it has none.
    pub(crate) fn number(&self, sam: &str, attribute: &str) -> u64 {
        let found = self.search(389, self.text("/base"), &format!("(sAMAccountName={sam})"), attribute);
        let values = found.values().flatten().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        values.map_or(0, |(_, value)| value.parse().unwrap())
    }

    /// The values of an attribute as LDIF shows them, binary ones in base64; read by this user of the forest, such as
    /// `/administrator` or `/exporter`.
    pub(crate) fn values(&self, reader: &str, sam: &str, attribute: &str) -> Vec<String> {
        let dn = self.account(sam);
        // The DACL alone: LDAP_SERVER_SD_FLAGS_OID with 4 (MS-ADTS 3.1.1.3.4.1.11), as an ordinary user may not read the rest.
        let control = "!1.2.840.113556.1.4.801=::MAMCAQQ=";
        let asked = ["-s", "base", "-E", control, "-b", dn.as_str(), "(objectClass=*)", attribute];
        let objects = objects(&self.ldapsearch(389, reader, &asked));
        let is_it = |name: &str| name.trim_end_matches(':').eq_ignore_ascii_case(attribute);
        objects.into_values().flatten().filter(|(name, _)| is_it(name)).map(|(_, value)| value).collect()
    }

    /// A number that the DC computes for the account.
    pub(crate) fn computed(&self, sam: &str, attribute: &str) -> u64 {
        let found = self.search(389, &self.account(sam), "(objectClass=*)", attribute);
        let values = found.values().flatten().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        values.map_or(0, |(_, value)| value.parse().unwrap())
    }

    /// Replaces an attribute of the account by the DC's own rules, as an administrator does; `None` removes it.
    pub(crate) fn modify(&self, sam: &str, attribute: &str, value: Option<&str>) {
        let values = value.map(|value| format!("{attribute}: {value}\n")).unwrap_or_default();
        let ldif =
            format!("dn: {}\nchangetype: modify\nreplace: {attribute}\n{values}-\n", self.account(sam));
        let address = self.text(&format!("/servers/{}/ip", self.server));
        let mut child = Command::new("ldapmodify")
            .env("LDAPTLS_CACERT", self.text("/ca"))
            .args(["-x", "-ZZ", "-H", &format!("ldap://{address}")])
            .args(["-D", self.text("/administrator/user"), "-w", self.text("/administrator/password")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "ldapmodify {sam} {attribute}");
    }

    /// Distinguished name of its domain.
    pub(crate) fn base(&self) -> &'a str {
        self.text("/base")
    }

    /// The domain controller's clock, as its rootDSE tells it: `20261125093000.0Z`.
    pub(crate) fn clock(&self) -> String {
        let address = self.text(&format!("/servers/{}/ip", self.server));
        let output = Command::new("ldapsearch")
            .args(["-LLL", "-x", "-o", "nettimeout=60", "-H", &format!("ldap://{address}")])
            .args(["-s", "base", "-b", "", "currentTime"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix("currentTime: "));
        found.unwrap_or_else(|| panic!("no currentTime: {text}")).to_owned()
    }

    /// Searches as Administrator with StartTLS.
    pub(crate) fn search(&self, port: u16, base: &str, filter: &str, attribute: &str) -> Objects {
        objects(&self.ldapsearch(port, "/administrator", &["-b", base, filter, attribute]))
    }

    fn ldapsearch(&self, port: u16, reader: &str, asked: &[&str]) -> String {
        let address = self.text(&format!("/servers/{}/ip", self.server));
        let output = Command::new("ldapsearch")
            .env("LDAPTLS_CACERT", self.text("/ca"))
            .args(["-LLL", "-x", "-ZZ", "-o", "ldif-wrap=no", "-o", "nettimeout=60"])
            .args(["-H", &format!("ldap://{address}:{port}")])
            .args([
                "-D",
                self.text(&format!("{reader}/user")),
                "-w",
                self.text(&format!("{reader}/password")),
            ])
            .args(asked)
            .output()
            .unwrap();
        assert!(output.status.success(), "{asked:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// LDIF (RFC 2849) as `-LLL -o ldif-wrap=no` writes it. No name in the lab needs base64.
fn objects(ldif: &str) -> Objects {
    let mut objects = Objects::new();
    let mut current = None;
    for line in ldif.lines() {
        match line.split_once(": ") {
            // References to other partitions come as comments.
            _ if line.starts_with('#') || line.is_empty() => {}
            Some(("dn", dn)) => {
                objects.insert(dn.to_owned(), Vec::new());
                current = Some(dn.to_owned());
            }
            Some((name, value)) => {
                let object = current.as_ref().and_then(|dn| objects.get_mut(dn));
                object.unwrap().push((name.to_owned(), value.to_owned()));
            }
            None => panic!("not understood: {line}"),
        }
    }
    objects
}
