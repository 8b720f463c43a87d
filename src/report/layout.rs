//! How the text report is laid out: lines, and tables with columns as wide as they need. What stands in them is not its
//! business.

use std::fmt::Write as _;

/// Adds a line.
pub(super) fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// Rows as a table whose columns are as wide as their widest cell.
pub(super) fn columns<const N: usize>(page: &mut String, rows: &[[String; N]]) {
    let mut widths = [0_usize; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut text = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, " {cell:<width$} ");
        }
        line(page, text.trim_end());
    }
}
