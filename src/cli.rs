//! The command line, as clap sees it. Records what was written and decides nothing: each flag is laid over the
//! configuration key of the same name (`config`), each command is a file under `commands`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What this binary was built from. Whoever builds a package sets the variables; a plain build does not know its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Version of the package.
    pub version: &'static str,
    /// Revision of the source: `BUILD_REVISION` at build time.
    pub revision: &'static str,
    /// Version of the compiler: `BUILD_RUSTC` at build time.
    pub rustc: &'static str,
    /// Target triple: `BUILD_TARGET` at build time, else architecture and operating system.
    pub target: &'static str,
}

/// What this binary was built from.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: known(option_env!("BUILD_REVISION"), "unknown"),
    rustc: known(option_env!("BUILD_RUSTC"), "unknown"),
    target: known(option_env!("BUILD_TARGET"), PLATFORM),
};

/// The target as far as the compiler tells a program: without vendor and C library.
const PLATFORM: &str = match (cfg!(target_arch = "x86_64"), cfg!(target_arch = "aarch64")) {
    (true, _) if cfg!(windows) => "x86_64-windows",
    (true, _) if cfg!(target_os = "linux") => "x86_64-linux",
    (_, true) if cfg!(windows) => "aarch64-windows",
    (_, true) if cfg!(target_os = "linux") => "aarch64-linux",
    _ => "unknown",
};

const fn known(value: Option<&'static str>, otherwise: &'static str) -> &'static str {
    match value {
        Some(value) => value,
        None => otherwise,
    }
}

impl fmt::Display for Build {
    /// The block of `--version`, after the program's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, revision, rustc, target } = self;
        let gssapi = if cfg!(feature = "gssapi") { "gssapi" } else { "none" };
        write!(
            f,
            "{version}\n  revision: {revision}\n  rustc:    {rustc}\n  target:   {target}\n  features: {gssapi}"
        )
    }
}

static VERSION: LazyLock<String> = LazyLock::new(|| BUILD.to_string());

/// The whole command line.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "mssql-kerberos-exporter",
    about = "Shows whether Kerberos works for SQL Server and, if not, why: as Prometheus metrics, and as a check",
    version = VERSION.as_str(),
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct Arguments {
    /// Flags, allowed before and after the command.
    #[command(flatten)]
    pub flags: Flags,
    /// Without one it serves.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Also for `--help` and `--version`: `clap::Error::exit` prints those on stdout and leaves with 0, a mistake on
    /// stderr and leaves with 2.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        Self::try_parse_from(arguments)
    }

    /// The command; without one it serves.
    pub fn command_or_serve(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve metrics until told to stop (the default)
    Serve,
    /// Assess every instance once, print what is wrong and what to do; changes nothing
    Check {
        /// How to print it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Exit with 1 from this severity on
        #[arg(long, value_enum, default_value_t = FailOn::Warning)]
        fail_on: FailOn,
    },
    /// Print every SQL statement, LDAP filter and Kerberos request it sends, with the permission each needs and why
    Queries {
        /// How to print it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Describe a keytab without its keys (principal, version, encryption type), for instances[].keytab_info. Linux: run it as
    /// mssql, by a timer; reads no configuration
    KeytabInfo {
        /// The keytab, such as /var/opt/mssql/secrets/mssql.keytab
        keytab: PathBuf,
        /// Write it to this file, which everybody may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Ask the running exporter at its first configured address whether it is alive
    Healthcheck,
}

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The severity from which `check` fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Only critical findings.
    Critical,
    /// Warnings and critical findings.
    Warning,
    /// Any finding.
    Info,
}

/// The flags. Each but `--config.*` is the configuration key of the same name and wins over file and environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Flags {
    /// Configuration file [default: /etc/mssql-kerberos-exporter/config.yml, on Windows
    /// %ProgramData%\mssql-kerberos-exporter\config.yml]
    #[arg(long = "config.file", value_name = "FILE", global = true)]
    pub config_file: Option<PathBuf>,
    /// Check the configuration, name every mistake, and exit: 0 if there is none, else 2. Sends nothing to the network
    #[arg(long = "config.check", global = true)]
    pub config_check: bool,
    /// Address to listen on, such as 0.0.0.0:10188, [::]:10188 or :10188; may be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", global = true)]
    pub web_listen_address: Vec<String>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", global = true)]
    pub web_telemetry_path: Option<String>,
    /// Let POST /-/reload read the configuration again, as SIGHUP does
    #[arg(long = "web.enable-lifecycle", global = true)]
    pub web_enable_lifecycle: bool,
    /// Most requests answered at the same time; further ones get 503
    #[arg(long = "web.max-requests", value_name = "NUMBER", global = true)]
    pub web_max_requests: Option<u32>,
    /// Path under which a proxy shows all pages
    #[arg(long = "web.route-prefix", value_name = "PATH", global = true)]
    pub web_route_prefix: Option<String>,
    /// Lowest severity of log lines
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", global = true)]
    pub log_level: Option<LogLevel>,
    /// Format of log lines, on stderr
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
}

/// Least severity of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What changes, and what is worse.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
    /// What does not work.
    Error,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::read(std::iter::once("mssql-kerberos-exporter").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(read("").unwrap(), Arguments { flags: Flags::default(), command: None });
        assert_eq!(read("").unwrap().command_or_serve(), Command::Serve);
        assert_eq!(read("serve").unwrap().command_or_serve(), Command::Serve);
    }

    #[test]
    fn commands_and_their_options() {
        for (line, command) in [
            ("check", Command::Check { format: Format::Table, fail_on: FailOn::Warning }),
            (
                "check --format json --fail-on info",
                Command::Check { format: Format::Json, fail_on: FailOn::Info },
            ),
            ("check --fail-on=critical", Command::Check { format: Format::Table, fail_on: FailOn::Critical }),
            ("queries --format json", Command::Queries { format: Format::Json }),
            ("healthcheck", Command::Healthcheck),
            (
                "keytab-info mssql.keytab --output a.json",
                Command::KeytabInfo { keytab: "mssql.keytab".into(), output: Some("a.json".into()) },
            ),
        ] {
            assert_eq!(read(line).unwrap().command_or_serve(), command, "{line}");
        }
    }

    #[test]
    fn flags_before_and_after_the_command() {
        for line in [
            "--config.file a.yml --web.listen-address :1 --web.listen-address :2 --log.level warn check",
            "check --config.file a.yml --web.listen-address :1 --web.listen-address :2 --log.level warn",
        ] {
            let flags = read(line).unwrap().flags;
            assert_eq!(flags.config_file, Some(PathBuf::from("a.yml")), "{line}");
            assert_eq!(flags.web_listen_address, [":1", ":2"], "{line}");
            assert_eq!(flags.log_level, Some(LogLevel::Warn), "{line}");
        }
    }

    #[test]
    fn mistakes_leave_with_two_help_and_version_with_zero() {
        for line in
            ["--nonsense", "nonsense", "check --format xml", "--log.level trace", "--web.max-requests -1"]
        {
            let error = read(line).unwrap_err();
            assert!(error.use_stderr() && error.exit_code() == 2, "{line}: {error}");
        }
        for (line, kind) in [("--help", ErrorKind::DisplayHelp), ("--version", ErrorKind::DisplayVersion)] {
            let error = read(line).unwrap_err();
            assert_eq!((error.kind(), error.exit_code(), error.use_stderr()), (kind, 0, false), "{line}");
        }
        let version = read("--version").unwrap_err().to_string();
        for part in ["mssql-kerberos-exporter ", BUILD.version, "revision:", "rustc:", "target:"] {
            assert!(version.contains(part), "{version}");
        }
    }
}
