//! SQL Server's keytab on Linux as `keytab-info` describes it, beside the keys that the directory and the KDC speak of
//! (JUDGEMENT 18). Never a key: the exporter does not read the keytab itself.

use crate::findings::encryption::{aes_changes, known_keys};
use crate::findings::times::date;
use crate::model::change::{AccountChange, Change, KeytabStep, KeytabTool};
use crate::model::condition::{Cipher, EncryptionTypes, PasswordSet};
use crate::model::directory::AccountNames;
use crate::model::instance::Platform;
use crate::model::keytab::{KeytabEntry, KeytabInfo};
use crate::model::observed::{Gap, Known, Reason};
use crate::model::spn::Spn;

use super::{Case, Judged};

/// The timer of `keytab-info` runs hourly; what is older than a day comes from one that does not run any more.
const MOST_AGE_SECONDS: f64 = 86_400.0;

/// A keytab and the version that its keys should have.
pub(super) struct Keytab<'a> {
    pub(super) info: &'a KeytabInfo,
    /// Entries of the service account and of the SPNs that are required.
    pub(super) ours: Vec<&'a KeytabEntry>,
    /// The version of the account's key now.
    pub(super) current: u32,
    /// Who says so.
    pub(super) said_by: String,
    /// The account.
    pub(super) account: &'a AccountNames,
    /// What it allows, where that is known and set.
    types: Option<EncryptionTypes>,
    /// Its realm, where known.
    realm: Option<String>,
}

impl<'a> Keytab<'a> {
    /// # Errors
    /// What to judge instead: not applicable outside Linux, a gap where something is not known.
    pub(super) fn of(case: &Case<'a>) -> Result<Self, Judged> {
        let instance = case.instance().map_err(Judged::from)?;
        match &instance.platform {
            Ok(Platform::Linux) => {}
            Ok(_) => {
                let text = "only SQL Server on Linux has a keytab; elsewhere its key cannot be known";
                return Err(Judged::NotApplicable(text.to_owned()));
            }
            Err(gap) => return Err(gap.clone().into()),
        }
        Self::look(case).map_err(Judged::from)
    }

    fn look(case: &Case<'a>) -> Known<Self> {
        let path = case.own.keytab_info.as_ref().ok_or_else(|| {
            Gap::disabled("instances[].keytab_info names no file; the command keytab-info writes one")
        })?;
        if !case.settings.host_enabled {
            return Err(Gap::disabled("host.enabled is false"));
        }
        let machine = case.machine()?;
        let not_yet = || Gap::peer_failed(format!("{} has not been read yet", path.display()));
        let info = machine.keytabs.get(path).ok_or_else(not_yet)?.as_ref().map_err(Clone::clone)?;
        let now = case.now.unix_seconds();
        let stale = |why: String| Gap::new(Reason::Stale, format!("{}: {why}", path.display()));
        if now - info.read_at > MOST_AGE_SECONDS {
            return Err(stale(format!("read on {}; does the timer of keytab-info run?", date(info.read_at))));
        }
        let account = case.account()?;
        if let Ok(PasswordSet::At(set)) = account.condition.password_set
            && set > info.read_at
        {
            return Err(stale(format!("read on {}, before the password was set", date(info.read_at))));
        }
        let (current, said_by) = match &account.condition.key_version {
            Ok(version) => (*version, "msDS-KeyVersionNumber".to_owned()),
            Err(gap) => {
                let granted = case.granted().unwrap_or_default();
                let told = granted
                    .iter()
                    .find_map(|(_, granted)| Some((granted.key_version?, granted.kdc.to_string())));
                told.ok_or_else(|| gap.clone())?
            }
        };
        let required: Vec<&Spn> =
            case.spns()?.iter().filter(|spn| spn.is_required()).map(|spn| &spn.expected.spn).collect();
        let is_ours = |entry: &&KeytabEntry| {
            entry.name().eq_ignore_ascii_case(&account.names.sam)
                || required.iter().any(|spn| spn.as_str().eq_ignore_ascii_case(entry.name()))
        };
        let ours = info.entries.iter().filter(is_ours).collect();
        let types = account.condition.encryption_types.clone().ok().flatten();
        let realm = case.directory()?.domain_of(&account.names).map(|name| name.as_str().to_uppercase());
        let types = types.filter(|types| types.names_a_cipher());
        Ok(Self { info, ours, current, said_by, account: &account.names, types, realm })
    }

    /// Entries for this SPN.
    pub(super) fn of_spn(&self, spn: &Spn) -> impl Iterator<Item = &'a KeytabEntry> {
        let name = spn.as_str().to_owned();
        self.ours.clone().into_iter().filter(move |entry| entry.name().eq_ignore_ascii_case(&name))
    }

    /// Whether any of our entries has this version.
    pub(super) fn has_version(&self, version: u32) -> bool {
        self.ours.iter().any(|entry| is_version(entry, version))
    }

    /// The steps that write entries of this version for the account and these SPNs, AES alone. An account that allows no AES, or
    /// whose tickets come with something weaker, gets it first.
    pub(super) fn remedy(&self, case: &Case<'_>, spns: &[&Spn], version: u32, is_weak: bool) -> Vec<Change> {
        let has_aes = self.types.is_none_or(EncryptionTypes::has_aes);
        let mut changes = match has_aes && !is_weak {
            true => Vec::new(),
            false => aes_changes(self.account, &known_keys(case), self.types),
        };
        let is_new = |change: &Change| matches!(change, Change::Account(step) if step.change() == AccountChange::NewPassword);
        let key_version = (!changes.iter().any(is_new)).then_some(version);
        let step = |tool, spn: Option<&Spn>| {
            Change::keytab(KeytabStep {
                tool,
                account: self.account.clone(),
                spn: spn.cloned(),
                realm: self.realm.clone(),
                key_version,
                keytab: self.info.keytab.clone(),
                is_aes256: !has_aes || self.types.is_none_or(|types| types.has(Cipher::Aes256)),
            })
        };
        for tool in [KeytabTool::Adutil, KeytabTool::Ktpass] {
            let names = spns.iter().map(|spn| Some(*spn)).chain([None]);
            for change in names.map(|spn| step(tool, spn)) {
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
        }
        changes.push(Change::Advice(format!(
            "leave the old entries beside the new ones for tickets that are still out; {} is mssql's alone (chown mssql:mssql, \
             chmod 440); then restart SQL Server (systemctl restart mssql-server)",
            self.info.keytab
        )));
        changes
    }

    /// The keytab and its dates, as the beginning of a sentence.
    pub(super) fn described(&self) -> String {
        format!(
            "{} (written {}, looked at {})",
            self.info.keytab,
            date(self.info.modified),
            date(self.info.read_at)
        )
    }

    /// The versions it has for us.
    pub(super) fn versions(&self) -> String {
        let mut versions: Vec<u32> = self.ours.iter().map(|entry| entry.key_version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Old programs write the version in 8 bits, which wraps around (MIT krb5, "Keytab file format").
pub(super) const fn is_version(entry: &KeytabEntry, version: u32) -> bool {
    entry.key_version == version || (entry.key_version < 256 && entry.key_version == version % 256)
}
