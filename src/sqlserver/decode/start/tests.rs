//! Lines as real logs have them (26067, 26068, 49904 in "Database engine events and errors"), as translated ones could, and
//! as clients may forge them.

use super::super::Value;
use super::*;
use crate::sqlserver::queries::{self, Statement};

const STARTED: f64 = 46_000.0;
const MINUTE: f64 = 1.0 / 1440.0;

fn line(statement: &'static Statement, at: f64, from: &str, text: &str) -> Row {
    let values = vec![Value::Float(at), Value::Text(from.into()), Value::Text(text.into())];
    Row::new(statement, values).unwrap()
}

fn refusal_text(spn: &str, code: &str) -> String {
    format!(
        "The SQL Server Network Interface library could not register the Service Principal Name (SPN) [ {spn} ] for the \
         SQL Server service. Windows return code: {code}, state: 15. Failure to register a SPN might cause integrated \
         authentication to use NTLM instead of Kerberos. This is an informational message."
    )
}

/// SPN and code of the refusals in one line, written `minutes` after the start.
fn refused(minutes: f64, from: &str, text: &str) -> Vec<(String, u32)> {
    let row = line(&queries::ERROR_LOG_26067, STARTED + minutes * MINUTE, from, text);
    let found = registration_refusals(&[row], STARTED).unwrap();
    found.into_iter().map(|refusal| (refusal.spn.as_str().to_owned(), refusal.code)).collect()
}

const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";

#[test]
fn start_errors_are_the_numbers_and_not_ports() {
    let of = |at: Value, line: &str| {
        let values = vec![at, Value::Text("Server".into()), Value::Text(line.into())];
        Row::new(&queries::ERROR_LOG_26023, values).unwrap()
    };
    let started = Some(STARTED);
    for (at, line, expected) in [
        (Value::Float(46_000.1), "Error: 26023, Severity: 16, State: 1.", true),
        (Value::Float(46_000.1), "Fehler: 26023, Schweregrad: 16, Status: 1.", true),
        (Value::Float(46_000.0 - 0.5 / 1440.0), "Error: 26023, Severity: 16, State: 1.", true),
        (Value::Float(45_999.0), "Error: 26023, Severity: 16, State: 1.", false),
        (Value::Null, "Error: 26023, Severity: 16, State: 1.", true),
        (Value::Float(46_000.1), "Server is listening on [ 'any' <ipv4> 26023].", false),
    ] {
        assert_eq!(start_error(&[of(at.clone(), line)], "26023", started), Ok(expected), "{at:?} {line}");
    }
    assert!(start_error(&[of(Value::Text("yesterday".into()), "x")], "26023", started).is_err());
}

#[test]
fn refusals_of_this_start_in_every_language() {
    let found = |spn: &str, code| vec![(spn.to_owned(), code)];
    assert_eq!(refused(0.5, "Server", &refusal_text(PORT, "0x2098")), found(PORT, 0x2098));
    assert_eq!(refused(0.5, "Server", &refusal_text(PORT, "0x21c7")), found(PORT, 0x21c7));
    assert_eq!(refused(0.5, "spid10s", &refusal_text(PORT, "0xffffffff")), found(PORT, 0xffff_ffff));
    let named = "MSSQLSvc/sql01.corp.contoso.com:PROD";
    assert_eq!(refused(9.0, "Server", &refusal_text(named, "0x200b")), found(named, 0x200b));
    let translated =
        format!("Der SPN [ {PORT} ] konnte nicht registriert werden. Rückgabecode: 0x2098, Status: 15.");
    assert_eq!(refused(0.5, "Server", &translated), found(PORT, 0x2098));
    let other_order = format!("0x2098: [ {PORT} ] を登録できませんでした。");
    assert_eq!(refused(0.5, "Server", &other_order), found(PORT, 0x2098));
    // A log that was kept through a quick restart, and a shutdown later in the day.
    assert_eq!(refused(-5.0, "Server", &refusal_text(PORT, "0x2098")), []);
    assert_eq!(refused(11.0, "Server", &refusal_text(PORT, "0x2098")), []);
}

#[test]
fn nothing_else_is_a_refusal() {
    let removal = refusal_text(PORT, "0x2098").replace("could not register", "could not deregister");
    let forged = format!("Login failed for user '[ {PORT} ] 0x2098'. Reason: none [CLIENT: 10.0.0.1]");
    for text in [
        removal,
        forged,
        refusal_text(PORT, "0x"),
        refusal_text(PORT, "0x123456789"),
        refusal_text(PORT, "2098"),
        refusal_text(PORT, "0x2098 0x21c7"),
        refusal_text("HTTP/sql01.corp.contoso.com", "0x2098"),
        refusal_text("MSSQLSvc/", "0x2098"),
        refusal_text("MSSQLSvc/a b:1433", "0x2098"),
        refusal_text("MSSQLSvc/[x]:1433", "0x2098"),
        refusal_text("MSSQLSvc/x\u{202e}y:1433", "0x2098"),
        format!("MSSQLSvc/sql01 ] 0x2098 [ {PORT}"),
        "[".repeat(10_000),
        String::new(),
    ] {
        assert_eq!(refused(0.5, "Server", &text), [], "{text}");
    }
    // What a client calls itself stands in lines of logins.
    assert_eq!(refused(0.5, "Logon", &refusal_text(PORT, "0x2098")), []);
}

#[test]
fn refusals_are_bounded_and_told_once() {
    let many: Vec<Row> = (0..500)
        .map(|n| {
            let text = refusal_text(&format!("MSSQLSvc/sql01.corp.contoso.com:{}", 1_000 + n / 2), "0x2098");
            line(&queries::ERROR_LOG_26067, STARTED, "Server", &text)
        })
        .collect();
    let found = registration_refusals(&many, STARTED).unwrap();
    assert_eq!(found.len(), MOST_REFUSALS);
    assert_eq!(registration_refusals(&many[..2], STARTED).unwrap().len(), 1);
    let undated = vec![Value::Null, Value::Null, Value::Text(refusal_text(PORT, "0x2098"))];
    let undated = Row::new(&queries::ERROR_LOG_26067, undated).unwrap();
    assert_eq!(registration_refusals(&[undated], STARTED), Ok(Vec::new()));
    let wrong = vec![Value::Text("now".into()), Value::Null, Value::Null];
    let wrong = Row::new(&queries::ERROR_LOG_26067, wrong).unwrap();
    assert!(registration_refusals(&[wrong], STARTED).is_err());
}

#[test]
fn the_running_account_is_what_every_line_says() {
    let said = |lines: &[(f64, &str)]| {
        let rows: Vec<Row> = lines
            .iter()
            .map(|(minutes, text)| {
                line(&queries::ERROR_LOG_49904, STARTED + minutes * MINUTE, "Server", text)
            })
            .collect();
        running_account(&rows, STARTED)
    };
    let of = |account: &str| {
        format!(
            "The service account is '{account}'. This is an informational message; no user action is required."
        )
    };
    let (sql, upper, new) = (of("CORP\\svc_sql"), of("corp\\SVC_SQL"), of("CORP\\svc_new"));
    assert_eq!(said(&[(0.0, &sql)]), Ok(Some("CORP\\svc_sql".into())));
    assert_eq!(said(&[(0.0, &of("CORP\\o'neill"))]), Ok(Some("CORP\\o'neill".into())));
    // A log that was cycled begins with the same line.
    assert_eq!(said(&[(90_000.0, &upper)]), Ok(Some("corp\\SVC_SQL".into())));
    assert_eq!(said(&[(0.0, &sql), (600.0, &upper)]), Ok(Some("CORP\\svc_sql".into())));
    // An earlier start's is not ours; two different ones of this start are not believed.
    assert_eq!(said(&[(-10.0, &new), (0.0, &sql)]), Ok(Some("CORP\\svc_sql".into())));
    assert!(said(&[(0.0, &sql), (5.0, &new)]).is_err());
    assert_eq!(said(&[]), Ok(None));
    for text in [
        "Das Dienstkonto ist 'CORP\\svc_sql'.".to_owned(),
        format!("Login failed for user '{sql}'."),
        of(""),
        of(&"x".repeat(257)),
        of("CORP\\svc\u{7}sql"),
        "The service account is 'CORP\\svc_sql".to_owned(),
    ] {
        assert_eq!(said(&[(0.0, &text)]), Ok(None), "{text}");
    }
}

#[test]
fn translations_are_strict() {
    let row = |name: &str, account: &str, sid: Value, control: Value| {
        let values = vec![Value::Text(name.into()), Value::Text(account.into()), sid, control];
        Row::new(&queries::SERVICE_SID, values).unwrap()
    };
    let hex = |rid: &str| Value::Text(format!("0x010500000000000515000000010000000200000003000000{rid}"));
    let (engine, account) = ("SQL Server (MSSQLSERVER)", "CORP\\svc_sql");
    let read = |rows: &[Row]| name_translation(rows, None, account);
    let both = read(&[row(engine, account, hex("51040000"), hex("f6010000"))]).unwrap();
    assert_eq!(both.sid.as_ref().unwrap().as_str(), "S-1-5-21-1-2-3-1105");
    assert_eq!(both.control.as_ref().unwrap().as_str(), "S-1-5-21-1-2-3-502");
    let gone = read(&[row(engine, account, Value::Null, hex("f6010000"))]).unwrap();
    assert!(gone.proves_absence());
    assert!(!read(&[row(engine, account, Value::Null, Value::Null)]).unwrap().proves_absence());
    for text in ["0x0105", "0x01050000000000051500000001000000020000000300000051040", "010500", "0xzz", "0x"]
    {
        let found = read(&[row(engine, account, Value::Text(text.into()), Value::Null)]);
        assert!(found.is_err(), "{text}");
    }
    assert!(
        read(&[row(engine, "CORP\\svc_new", Value::Null, hex("f6010000"))]).is_err(),
        "changed meanwhile"
    );
    assert!(read(&[]).is_err());
    assert!(read(&[row(engine, account, Value::Int(1), Value::Null)]).is_err());
}
