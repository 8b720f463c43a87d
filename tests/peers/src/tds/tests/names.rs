//! Names that the host translates: from the scenario's directory as it is at that moment, or not at all.

use std::sync::{Arc, RwLock};

use super::super::{Behaviour, Names};
use super::*;
use crate::ldap::{AccountSpec, Directory, DomainSid, DomainSpec};

const ASK: &str = "SELECT CAST(CONVERT(varchar(172), SUSER_SID(CAST(s.service_account AS nvarchar(128)), 0), 1) \
                   AS nvarchar(172)) AS sid, CAST(CONVERT(varchar(172), SUSER_SID(LEFT(s.service_account, \
                   CHARINDEX(N'\\', s.service_account)) + N'krbtgt', 0), 1) AS nvarchar(172)) AS control \
                   FROM sys.dm_server_services AS s WHERE s.servicename LIKE N'SQL Server (%'";

async fn translated(client: &mut TestClient) -> (Option<String>, Option<String>) {
    let rows = rows(client, ASK).await.unwrap();
    let text = |column: &str| rows[0].try_get::<&str, _>(column).unwrap().map(str::to_owned);
    (text("sid"), text("control"))
}

fn hex(bytes: &[u8]) -> Option<String> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    Some(format!("0x{digits}"))
}

#[tokio::test]
async fn names_mean_what_the_directory_says_now() {
    let domain = DomainSpec { accounts: vec![AccountSpec::user("svc_sql")], ..DomainSpec::default() };
    let directory = Arc::new(RwLock::new(Directory::of(&domain, &[])));
    let options = Options { names: Names::of([Arc::clone(&directory)]), ..Options::default() };
    let of = |account: &str| SqlServerSpec { account: Some(account.to_owned()), ..spec(2022) };
    let server = SqlServer::start(of("CORP\\svc_sql"), options).unwrap();
    let mut client = connect(&server).await;
    let krbtgt = hex(&DomainSid::of("corp.contoso.com").bytes(Some(502)));
    let own = directory.write().unwrap().account("svc_sql").unwrap().values("objectSid")[0].clone();
    assert_eq!(translated(&mut client).await, (hex(&own), krbtgt.clone()));
    server.set_spec(of("corp\\SVC_SQL")).unwrap();
    assert_eq!(translated(&mut client).await, (hex(&own), krbtgt.clone()));
    server.set_spec(of("CORP\\svc_gone")).unwrap();
    assert_eq!(translated(&mut client).await, (None, krbtgt));
    server.set_spec(of("OTHER\\svc_sql")).unwrap();
    assert_eq!(translated(&mut client).await, (None, None));
    server.set_spec(SqlServerSpec { translates_names: false, ..of("CORP\\svc_sql") }).unwrap();
    assert_eq!(translated(&mut client).await, (None, None));
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_waits_for_a_domain_controller_hangs_at_names_alone() {
    let server = start(spec(2019));
    server.set_behaviour(Behaviour::HangAtNames);
    let mut client = connect(&server).await;
    assert_eq!(rows(&mut client, "SELECT 1 AS one").await.unwrap().len(), 1);
    let answer = async { client.simple_query(ASK).await?.into_first_result().await };
    let soon = tokio::time::timeout(Duration::from_millis(300), answer).await;
    assert!(soon.is_err(), "{soon:?}");
}
