//! The landing page: what this is, its version, its links, each instance's verdict.

use std::fmt::Write as _;

use crate::metrics::Build;
use crate::pipeline::Assessment;

use super::escape;

/// The page. `prefix` is the route prefix without a trailing slash.
pub fn page(build: &Build, prefix: &str, telemetry_path: &str, assessment: &Assessment) -> String {
    let mut verdicts = String::new();
    for instance in &assessment.instances {
        // Writing to a string cannot fail.
        let _ = writeln!(
            verdicts,
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(&instance.name),
            instance.verdict.name().replace('_', " ")
        );
    }
    let link = |path: &str, text: &str| {
        format!("<li><a href=\"{}\">{text}</a></li>\n", escape(&format!("{prefix}{path}")))
    };
    let mut links = link(telemetry_path, "Metrics");
    links += &link("/explain", "What is wrong, why, and what to do");
    links += &link("/explain?format=json", "The same as JSON");
    links += &link("/-/healthy", "Alive");
    links += &link("/-/ready", "Ready");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>SQL Server Kerberos exporter</title>\n<style>\n\
         body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem; \
         color: #1b1b1b; background: #fff }}\n\
         h1 {{ font-size: 1.5rem }}\ntable {{ border-collapse: collapse; margin: 1rem 0 }}\n\
         th, td {{ text-align: left; padding: .3rem 1.5rem .3rem 0; border-bottom: 1px solid #ccc }}\n\
         @media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #1b1b1b }} a {{ color: #8ab4f8 }} }}\n\
         </style>\n</head>\n<body>\n<h1>SQL Server Kerberos exporter</h1>\n\
         <p>mssql-kerberos-exporter {} (revision {})</p>\n\
         <table>\n<thead><tr><th>Instance</th><th>Kerberos</th></tr></thead>\n<tbody>\n{verdicts}</tbody>\n</table>\n\
         <ul>\n{links}</ul>\n</body>\n</html>\n",
        escape(build.version),
        escape(build.revision),
    )
}
