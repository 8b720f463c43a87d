//! SQL Server's keytab on Linux as `keytab-info` describes it, beside the keys that the directory and the KDC speak of
//! (JUDGEMENT 18). Never a key: the exporter does not read the keytab itself.

use crate::findings::times::date;
use crate::model::condition::PasswordSet;
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
    /// `DOMAIN\\name` of the account.
    pub(super) account: String,
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
        Ok(Self { info, ours, current, said_by, account: account.names.nt_name() })
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
