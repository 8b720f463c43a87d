//! The configuration partition of a forest and the rootDSE of its controllers.
//!
//! Both follow from the list of domains; nothing in them is changed by a scenario.

use super::accounts::object;
use super::directory::{Directory, Domain, FUNCTIONAL_LEVEL, SITE};
use super::entry::Entry;
use super::identifiers::generalized_time;

/// The configuration partition: cross-references, the site with its controllers, and the table of SPN aliases.
pub(super) fn configuration(domains: &[Domain]) -> Vec<Entry> {
    let forest = domains.first().map(Domain::dn).unwrap_or_default();
    let dn = format!("CN=Configuration,{forest}");
    let schema = format!("CN=Schema,{dn}");
    let make = |name: &str, class: &str, category: &str| {
        object(&format!("{name},{dn}"), &["top", class], category, &forest)
    };
    let mut entries = vec![
        object(&dn, &["top", "configuration"], "Configuration", &forest),
        object(&schema, &["top", "dMD"], "DMD", &forest),
        make("CN=Partitions", "crossRefContainer", "Cross-Ref-Container")
            .with("msDS-Behavior-Version", [FUNCTIONAL_LEVEL]),
        make("CN=Services", "container", "Container"),
        make("CN=Windows NT,CN=Services", "container", "Container"),
        make("CN=Directory Service,CN=Windows NT,CN=Services", "nTDSService", "NTDS-Service")
            .with("sPNMappings", [SPN_MAPPINGS]),
        make("CN=Sites", "sitesContainer", "Sites-Container"),
        make(&format!("CN={SITE},CN=Sites"), "site", "Site"),
        make(&format!("CN=Servers,CN={SITE},CN=Sites"), "serversContainer", "Servers-Container"),
    ];
    let cross_reference = |name: &str, naming_context: &str, dns: &str, flags: &str| {
        make(&format!("CN={name},CN=Partitions"), "crossRef", "Cross-Ref")
            .with("nCName", [naming_context])
            .with("dnsRoot", [dns])
            .with("systemFlags", [flags])
    };
    // systemFlags of a cross-reference (MS-ADTS 2.2.10): 1 a partition of the forest, 2 of a domain.
    let root_dns = domains.first().map(|domain| domain.dns().to_owned()).unwrap_or_default();
    entries.push(cross_reference("Enterprise Configuration", &dn, &root_dns, "1"));
    entries.push(cross_reference("Enterprise Schema", &schema, &root_dns, "1"));
    for (place, domain) in domains.iter().enumerate() {
        entries.push(
            cross_reference(domain.netbios(), &domain.dn(), domain.dns(), "3")
                .with("nETBIOSName", [&domain.netbios()]),
        );
        // Several domains may call their controller DC1; the forest's site then numbers the servers.
        let short = if place == 0 {
            domain.controller_short_name().to_owned()
        } else {
            format!("DC1-{}", domain.netbios())
        };
        let server = format!("CN={short},CN=Servers,CN={SITE},CN=Sites");
        entries.push(
            make(&server, "server", "Server")
                .with("dNSHostName", [domain.controller()])
                .with("serverReference", [format!("CN=DC1,OU=Domain Controllers,{}", domain.dn())]),
        );
        // NTDSDSA_OPT_IS_GC (MS-ADTS 6.1.1.2.2.1.2.1.1): the controller is a global catalogue.
        entries
            .push(make(&format!("CN=NTDS Settings,{server}"), "nTDSDSA", "NTDS-DSA").with("options", ["1"]));
    }
    entries
}

/// The services that the HOST principal stands for, as a new forest lists them (MS-ADTS 6.1.1.2.4.1.1, shortened to those of
/// interest here). MSSQLSvc is not among them.
const SPN_MAPPINGS: &str = "host=alerter,appmgmt,cisvc,clipsrv,browser,dhcp,dnscache,eventlog,eventsystem,policyagent,http,rpc,rpcss,spooler,time,w3svc,wins,www";

/// What the directory says about itself before anyone has signed in (MS-ADTS 3.1.1.3.2).
pub(super) fn root_dse(
    directory: &Directory,
    domain: &Domain,
    place: usize,
    controller: &str,
    now: i64,
) -> Entry {
    let (configuration, root) = (directory.configuration_dn(), domain.forest_root_dn());
    let schema = format!("CN=Schema,{configuration}");
    let short = if place == 0 { "DC1".to_owned() } else { format!("DC1-{}", domain.netbios()) };
    let server = format!("CN={short},CN=Servers,CN={SITE},CN=Sites,{configuration}");
    Entry::new("")
        .with::<&str>("distinguishedName", [])
        .with("currentTime", [generalized_time(now)])
        .with("subschemaSubentry", [format!("CN=Aggregate,{schema}")])
        .with("dsServiceName", [format!("CN=NTDS Settings,{server}")])
        .with("namingContexts", [&domain.dn(), &configuration, &schema])
        .with("defaultNamingContext", [domain.dn()])
        .with("schemaNamingContext", [&schema])
        .with("configurationNamingContext", [&configuration])
        .with("rootDomainNamingContext", [&root])
        .with(
            "supportedControl",
            ["1.2.840.113556.1.4.319", "1.2.840.113556.1.4.801", "1.2.840.113556.1.4.1339"],
        )
        .with("supportedLDAPVersion", ["3", "2"])
        .with("supportedLDAPPolicies", ["MaxPageSize", "MaxValRange"])
        .with("supportedExtension", ["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3"])
        // GSSAPI and GSS-SPNEGO, which a real controller lists too, are not served here.
        .with("supportedSASLMechanisms", ["EXTERNAL", "DIGEST-MD5"])
        .with("highestCommittedUSN", ["20500"])
        .with("dnsHostName", [controller])
        .with("ldapServiceName", [format!("{}:dc1$@{}", domain.forest_root, domain.dns().to_uppercase())])
        .with("serverName", [&server])
        .with("domainFunctionality", [FUNCTIONAL_LEVEL])
        .with("forestFunctionality", [FUNCTIONAL_LEVEL])
        .with("domainControllerFunctionality", [FUNCTIONAL_LEVEL])
        .with("isSynchronized", ["TRUE"])
        .with("isGlobalCatalogReady", ["TRUE"])
}
