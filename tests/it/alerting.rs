//! Alert rules, recording rules, Alertmanager's configuration and the runbooks: what is committed is what one typed source
//! makes (`UPDATE_EXPECT=1` rewrites it), and real Prometheus and Alertmanager do with it what is promised.

mod source;

mod watches;

mod files;

mod runbooks;

mod cases;

#[cfg(feature = "gssapi")]
mod promtool;

#[cfg(feature = "gssapi")]
pub(crate) mod programs;

#[cfg(feature = "gssapi")]
mod live;

#[cfg(feature = "gssapi")]
mod page;

#[cfg(feature = "gssapi")]
mod scale;
