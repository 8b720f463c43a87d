//! The statements that read the error log, and the one that has SQL Server translate its account's name. Texts only; what
//! a line means is `decode`'s business.
//!
//! From SQL Server 2022 on VIEW ANY ERROR LOG is the right of `sp_readerrorlog` (JUDGEMENT 17); nothing says that it opens the
//! extended procedure too. Before, `sp_readerrorlog` takes a server role, while EXECUTE on the extended one can be granted.

use super::{ERROR_LOG, MAJOR_2022, SECURITY, Statement, Type};
use crate::model::instance::Platform;

/// A port that another process held when SQL Server started (26023). Log 0 is the current one, product 1 the engine.
pub const ERROR_LOG_26023: Statement = Statement {
    name: "error_log_26023",
    sql: "/* mssql-kerberos-exporter error_log_26023 */
EXEC sys.sp_readerrorlog 0, 1, N'26023,'",
    columns: &[("LogDate", Type::DateTime), ("ProcessInfo", Type::Text), ("Text", Type::Text)],
    right: ERROR_LOG,
    optional: true,
    since: MAJOR_2022,
    until: None,
    platform: None,
    why: "a configured port that did not come up, because it was in use",
};

/// The same before 2022.
pub const ERROR_LOG_26023_2014: Statement = Statement {
    name: "error_log_26023_2014",
    sql: "/* mssql-kerberos-exporter error_log_26023_2014 */
EXEC sys.xp_readerrorlog 0, 1, N'26023,'",
    since: 12,
    until: Some(MAJOR_2022),
    ..ERROR_LOG_26023
};

/// Any other failure to listen (26024).
pub const ERROR_LOG_26024: Statement = Statement {
    name: "error_log_26024",
    sql: "/* mssql-kerberos-exporter error_log_26024 */
EXEC sys.sp_readerrorlog 0, 1, N'26024,'",
    why: "a configured port that did not come up",
    ..ERROR_LOG_26023
};

/// The same before 2022.
pub const ERROR_LOG_26024_2014: Statement = Statement {
    name: "error_log_26024_2014",
    sql: "/* mssql-kerberos-exporter error_log_26024_2014 */
EXEC sys.xp_readerrorlog 0, 1, N'26024,'",
    since: 12,
    until: Some(MAJOR_2022),
    ..ERROR_LOG_26024
};

/// SPNs that the engine could not register at its start (26067). At severity 10 the log has no number, and the text is
/// translated: the SPN and the code in hexadecimal are not ("Database engine events and errors 26000 to 27999").
pub const ERROR_LOG_26067: Statement = Statement {
    name: "error_log_26067",
    sql: "/* mssql-kerberos-exporter error_log_26067 */
EXEC sys.sp_readerrorlog 0, 1, N'MSSQLSvc/', N'0x'",
    platform: Some(Platform::Windows),
    why: "SPNs that the engine could not register at its start, with Windows' reason",
    ..ERROR_LOG_26023
};

/// The same before 2022.
pub const ERROR_LOG_26067_2014: Statement = Statement {
    name: "error_log_26067_2014",
    sql: "/* mssql-kerberos-exporter error_log_26067_2014 */
EXEC sys.xp_readerrorlog 0, 1, N'MSSQLSvc/', N'0x'",
    since: 12,
    until: Some(MAJOR_2022),
    ..ERROR_LOG_26067
};

/// The account that the process runs as (49904), which each log begins with. English only.
pub const ERROR_LOG_49904: Statement = Statement {
    name: "error_log_49904",
    sql: "/* mssql-kerberos-exporter error_log_49904 */
EXEC sys.sp_readerrorlog 0, 1, N'The service account is '''",
    platform: Some(Platform::Windows),
    why: "the account that the process runs as; the service entry may name another since",
    ..ERROR_LOG_26023
};

/// The same before 2022.
pub const ERROR_LOG_49904_2014: Statement = Statement {
    name: "error_log_49904_2014",
    sql: "/* mssql-kerberos-exporter error_log_49904_2014 */
EXEC sys.xp_readerrorlog 0, 1, N'The service account is '''",
    since: 12,
    until: Some(MAJOR_2022),
    ..ERROR_LOG_49904
};

/// What the host (LSA) makes of the service account's name, and as a control of `krbtgt`, which every AD domain has under
/// this name. SUSER_SID names no right, and with 0 it compares no stored login's spelling (its page).
pub const SERVICE_SID: Statement = Statement {
    name: "service_sid",
    sql: "/* mssql-kerberos-exporter service_sid */
SELECT CAST(s.servicename AS nvarchar(256)) AS servicename,
       CAST(s.service_account AS nvarchar(256)) AS service_account,
       CAST(CONVERT(varchar(172), SUSER_SID(CAST(s.service_account AS nvarchar(128)), 0), 1) AS nvarchar(172))
           AS account_sid,
       CAST(CONVERT(varchar(172), SUSER_SID(CAST(LEFT(s.service_account, CHARINDEX(N'\\', s.service_account))
           + N'krbtgt' AS nvarchar(128)), 0), 1) AS nvarchar(172)) AS control_sid
FROM sys.dm_server_services AS s
WHERE s.servicename LIKE N'SQL Server (%' OPTION (MAXDOP 1)",
    columns: &[
        ("servicename", Type::Text),
        ("service_account", Type::Text),
        ("account_sid", Type::Text),
        ("control_sid", Type::Text),
    ],
    right: SECURITY,
    optional: false,
    since: 12,
    until: None,
    platform: Some(Platform::Windows),
    why: "whether the service account's name still belongs to an account; asked only for DOMAIN\\name",
};
