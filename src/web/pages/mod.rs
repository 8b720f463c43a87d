//! What the pages share: escaping. Pages are small, and need no asset from elsewhere.

pub mod landing;

/// Text as HTML: the five characters that end text or attributes, and control characters as their escape.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in crate::remedy::printable(text).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}
