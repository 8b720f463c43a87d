//! Accept and Accept-Encoding → format and coding. Pure; never refuses: an odd or absent header gives the classic format
//! and no coding.

use crate::metrics::render;

/// What a scraper gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// Text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// A format with the content type that was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Which text.
    pub format: Format,
    /// The header's value.
    pub content_type: String,
}

/// Chooses by the highest q; of two alike the first named. OpenMetrics versions 1.0.0 and 0.0.1 and text 0.0.4 and 1.0.0
/// are the same bytes here, as every name of ours is valid in each escaping scheme.
pub(super) fn format(accept: Option<&str>) -> Agreed {
    let classic = Agreed { format: Format::Classic, content_type: render::CLASSIC.to_owned() };
    let mut best: Option<(f32, Agreed)> = None;
    for range in accept.unwrap_or_default().split(',') {
        let Some((q, agreed)) = offer(range) else { continue };
        if q > 0.0 && best.as_ref().is_none_or(|(highest, _)| q > *highest) {
            best = Some((q, agreed));
        }
    }
    best.map_or(classic, |(_, agreed)| agreed)
}

fn offer(range: &str) -> Option<(f32, Agreed)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut q, mut version, mut escaping) = (1.0, None, None);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => q = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?,
            "version" => version = Some(value),
            "escaping" => escaping = Some(value),
            _ => {}
        }
    }
    // Only what the specification names is echoed.
    let escaping = escaping
        .filter(|scheme| ["allow-utf-8", "underscores", "dots", "values"].contains(scheme))
        .map_or(String::new(), |scheme| format!("; escaping={scheme}"));
    let agreed = match (media.as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => {
            Agreed { format: Format::OpenMetrics, content_type: format!("{}{escaping}", render::OPENMETRICS) }
        }
        ("application/openmetrics-text", Some("0.0.1")) => Agreed {
            format: Format::OpenMetrics,
            content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8".to_owned(),
        },
        ("text/plain", Some("1.0.0")) => Agreed {
            format: Format::Classic,
            content_type: format!("text/plain; version=1.0.0; charset=utf-8{escaping}"),
        },
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
            Agreed { format: Format::Classic, content_type: render::CLASSIC.to_owned() }
        }
        _ => return None,
    };
    Some((q, agreed))
}

/// Whether gzip is welcome: named, or covered by `*`, with a q above 0 (RFC 9110 12.5.3).
pub(super) fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    let mut by_star = false;
    for coding in accept_encoding.unwrap_or_default().split(',') {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let q = match parameters.trim().strip_prefix("q=") {
            Some(q) => q.trim().parse::<f32>().unwrap_or(0.0),
            None => 1.0,
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return q > 0.0,
            "*" => by_star = q > 0.0,
            _ => {}
        }
    }
    by_star
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_seen_in_the_wild() {
        use Format::{Classic, OpenMetrics};
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format_, type_) in [
            (None, Classic, render::CLASSIC),
            (Some(""), Classic, render::CLASSIC),
            (Some("*/*"), Classic, render::CLASSIC),
            (Some("text/html"), Classic, render::CLASSIC),
            (Some("text/plain"), Classic, render::CLASSIC),
            (Some("text/plain; version=0.0.4"), Classic, render::CLASSIC),
            (Some("application/json"), Classic, render::CLASSIC),
            (Some("nonsense;;q=,"), Classic, render::CLASSIC),
            (Some(prometheus_2), OpenMetrics, render::OPENMETRICS),
            (
                Some(prometheus_3),
                OpenMetrics,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (Some("application/openmetrics-text"), OpenMetrics, render::OPENMETRICS),
            (
                Some("application/openmetrics-text; version=0.0.1"),
                OpenMetrics,
                "application/openmetrics-text; version=0.0.1; charset=utf-8",
            ),
            (Some("application/openmetrics-text; version=2.0.0, text/plain;q=0.1"), Classic, render::CLASSIC),
            (Some("application/openmetrics-text;q=0.1, text/plain;q=0.9"), Classic, render::CLASSIC),
            (Some("application/openmetrics-text;q=0"), Classic, render::CLASSIC),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3",
                ),
                Classic,
                render::CLASSIC,
            ),
            (
                Some("application/openmetrics-text;version=1.0.0;escaping=\r\nX"),
                OpenMetrics,
                render::OPENMETRICS,
            ),
        ] {
            let agreed = format(accept);
            assert_eq!((agreed.format, agreed.content_type.as_str()), (format_, type_), "{accept:?}");
        }
    }

    #[test]
    fn codings() {
        for (header, expected) in [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("deflate, gzip;q=0.5"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.0, *"), false),
            (Some("*"), true),
            (Some("identity"), false),
            (Some("GZIP"), true),
            (Some("gzip;q=x"), false),
        ] {
            assert_eq!(takes_gzip(header), expected, "{header:?}");
        }
    }
}
