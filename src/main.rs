//! Arguments in, exit code out.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mssql_kerberos_exporter::cli::{Arguments, Command, Flags};
use mssql_kerberos_exporter::commands::{check, exit, healthcheck, keytab_info, queries};
use mssql_kerberos_exporter::config::{self, Config, Errors, Sources};
use mssql_kerberos_exporter::findings::rules;
use mssql_kerberos_exporter::{app, refresh, signals, telemetry, web};

/// How long the end waits for threads that still work.
const LAST_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    // It runs as another user, who need not be able to read the configuration.
    if let Some(Command::KeytabInfo { keytab, output }) = &arguments.command {
        let done = keytab_info::run(keytab, output.as_deref(), refresh::now(), &mut io::stdout());
        return ExitCode::from(printed(done));
    }
    let config = match load(&arguments.flags) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(exit::USAGE);
        }
    };
    if arguments.flags.config_check {
        println!("the configuration is good");
        return ExitCode::SUCCESS;
    }
    telemetry::start(config.log.level, config.log.format);
    if let Err(error) = mssql_kerberos_exporter::install_crypto() {
        eprintln!("{error}");
        return ExitCode::from(exit::CANNOT_LISTEN);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime does not start: {error}");
            return ExitCode::from(exit::CANNOT_LISTEN);
        }
    };
    let code = runtime.block_on(run(&config, arguments));
    // The workers drop their connections first: a Kerberos context released while the exit handlers
    // of libgssapi run aborts the process. A thread that hangs holds the end up by no more than this:
    // it waits for a KDC, in poll(2), and touches nothing that the handlers close. Ending without the
    // handlers would be `_exit`, which is unsafe, or `abort`, which is no exit code.
    runtime.shutdown_timeout(LAST_WAIT);
    ExitCode::from(code)
}

fn load(flags: &Flags) -> Result<Config, Errors> {
    let findings: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    config::load(&Sources::of_process(flags, &findings))
}

fn printed(result: io::Result<u8>) -> u8 {
    match result {
        Ok(code) => code,
        // The reader has gone, as `| head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            eprintln!("the report could not be written: {error}");
            exit::CANNOT_LISTEN
        }
    }
}

async fn run(config: &Config, arguments: Arguments) -> u8 {
    match arguments.command_or_serve() {
        Command::Serve => serve(config, arguments.flags).await,
        Command::Check { format, fail_on } => {
            printed(check::run(config, format, fail_on, &mut io::stdout()).await)
        }
        Command::Queries { format } => printed(queries::run(format, &mut io::stdout()).map(|()| exit::OK)),
        Command::Healthcheck => healthcheck::run(config).await,
        // Done before the configuration was read.
        Command::KeytabInfo { .. } => exit::OK,
    }
}

async fn serve(config: &Config, flags: Flags) -> u8 {
    let listeners = match web::bind(&config.web.listen_addresses).await {
        Ok(listeners) => listeners,
        Err((address, error)) => {
            eprintln!("cannot listen on {address}: {error}");
            return exit::CANNOT_LISTEN;
        }
    };
    let load = move || load(&flags);
    let reload = app::Reload { load: Arc::new(load), hangups: signals::hangups() };
    app::run(config, listeners, reload, signals::stop()).await;
    exit::OK
}
