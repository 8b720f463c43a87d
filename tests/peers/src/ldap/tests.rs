//! The domain controller as real clients meet it: the `ldap3` crate over real sockets.

mod binds;

mod searches;

mod misbehaviour;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, SearchEntry, SearchOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::certificates::Authority;

const READER: &str = "CORP\\reader";
const PASSWORD: &str = "correct horse";
const BASE: &str = "DC=corp,DC=contoso,DC=com";

struct Fixture {
    authority: Authority,
    controller: DomainController,
}

fn account(name: &str, class: AccountClass, spns: &[&str]) -> AccountSpec {
    AccountSpec { class, spns: spns.iter().map(|&spn| spn.to_owned()).collect(), ..AccountSpec::user(name) }
}

fn start(accounts: Vec<AccountSpec>) -> Fixture {
    let eu = DomainSpec {
        dns: "eu.contoso.com".to_owned(),
        netbios: "EU".to_owned(),
        accounts: vec![account("svc_eu", AccountClass::User, &["MSSQLSvc/sql01.corp.contoso.com:1433"])],
        ..DomainSpec::default()
    };
    let mut root = DomainSpec { accounts, other_domains: vec![eu], ..DomainSpec::default() };
    root.accounts.push(AccountSpec::user("reader"));
    let authority = Authority::create().unwrap();
    let directory = Arc::new(RwLock::new(Directory::of(&root, &[])));
    let controller = DomainController::start(directory, 0, &authority).unwrap();
    assert!(controller.set_password("reader", PASSWORD));
    Fixture { authority, controller }
}

fn sql_account() -> AccountSpec {
    account(
        "svc_sql",
        AccountClass::User,
        &["MSSQLSvc/sql01.corp.contoso.com:1433", "MSSQLSvc/sql01.corp.contoso.com"],
    )
}

impl Fixture {
    async fn connect(&self, url: &str) -> Result<Ldap, LdapError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (start_tls, url) = match url.strip_prefix("starttls+") {
            Some(url) => (true, url),
            None => (false, url),
        };
        let settings = LdapConnSettings::new()
            .set_config(Arc::new(config))
            .set_starttls(start_tls)
            .set_conn_timeout(Duration::from_secs(60));
        let (connection, ldap) = LdapConnAsync::with_settings(settings, url).await?;
        ldap3::drive!(connection);
        Ok(ldap)
    }

    async fn bound(&self, url: &str) -> Ldap {
        let mut ldap = self.connect(url).await.unwrap();
        ldap.simple_bind(READER, PASSWORD).await.unwrap().success().unwrap();
        ldap
    }
}

async fn find(
    ldap: &mut Ldap,
    base: &str,
    scope: ldap3::Scope,
    filter: &str,
    attributes: &[&str],
) -> Vec<SearchEntry> {
    let (entries, result) =
        ldap.search(base, scope, filter, attributes.to_vec()).await.unwrap().success().unwrap();
    assert_eq!(result.rc, 0);
    entries.into_iter().map(SearchEntry::construct).collect()
}

async fn names(ldap: &mut Ldap, filter: &str) -> Vec<String> {
    let entries = find(ldap, BASE, ldap3::Scope::Subtree, filter, &["sAMAccountName"]).await;
    entries.into_iter().map(|entry| entry.attrs["sAMAccountName"][0].clone()).collect()
}

async fn paged(ldap: &mut Ldap, filter: &str, size: i32) -> usize {
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(size))];
    let mut stream =
        ldap.streaming_search_with(adapters, BASE, ldap3::Scope::Subtree, filter, vec!["cn"]).await.unwrap();
    let mut count = 0;
    while stream.next().await.unwrap().is_some() {
        count += 1;
    }
    stream.finish().await.success().unwrap();
    count
}
