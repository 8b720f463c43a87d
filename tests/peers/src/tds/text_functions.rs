//! Text functions of Transact-SQL at run time: LIKE with its classes, LEFT, SUBSTRING and their kin.
//! Case is ignored as the usual collations do; other collations are not played.

use rusqlite::types::Value;

/// `text LIKE pattern ESCAPE escape`.
pub(crate) fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    matches(&text, &pattern, escape)
}

fn matches(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((&first, rest)) = pattern.split_first() else {
        // Blanks at the end of the text do not matter (LIKE page).
        return text.iter().all(|&character| character == ' ');
    };
    if Some(first) == escape {
        return match (rest.split_first(), text.split_first()) {
            (Some((wanted, rest)), Some((found, text))) => wanted == found && matches(text, rest, escape),
            _ => false,
        };
    }
    match first {
        '%' => (0..=text.len()).any(|skip| matches(&text[skip..], rest, escape)),
        '_' => text.split_first().is_some_and(|(_, text)| matches(text, rest, escape)),
        '[' => {
            let (Some(end), Some((&found, text))) =
                (rest.iter().position(|&it| it == ']'), text.split_first())
            else {
                return false;
            };
            in_class(found, &rest[..end]) && matches(text, &rest[end + 1..], escape)
        }
        wanted => {
            text.split_first().is_some_and(|(&found, text)| wanted == found && matches(text, rest, escape))
        }
    }
}

fn in_class(character: char, class: &[char]) -> bool {
    let (negated, mut class) = match class.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some((&first, rest)) = class.split_first() {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (first..=*last).contains(&character);
                rest
            }
            _ => {
                found |= first == character;
                rest
            }
        };
    }
    found != negated
}

/// A function by name; NULL wherever an argument is NULL.
pub(crate) fn text_function(name: &str, arguments: &[Value]) -> Value {
    let (Some(Value::Text(text)), false) = (arguments.first(), arguments.contains(&Value::Null)) else {
        return Value::Null;
    };
    let number = |at: usize| match arguments.get(at) {
        Some(Value::Integer(number)) => *number,
        _ => 0,
    };
    let other = |at: usize| match arguments.get(at) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let characters: Vec<char> = text.chars().collect();
    let count = |number: i64| usize::try_from(number).unwrap_or_default().min(characters.len());
    let piece = |characters: &[char]| Value::Text(characters.iter().collect());
    match name {
        "LEFT" => piece(&characters[..count(number(1))]),
        "RIGHT" => piece(&characters[characters.len() - count(number(1))..]),
        "SUBSTRING" => {
            let start = number(1) - 1;
            let end = start.saturating_add(number(2).max(0));
            piece(&characters[count(start)..count(end).max(count(start))])
        }
        "LEN" => Value::Integer(text.trim_end_matches(' ').encode_utf16().count() as i64),
        "DATALENGTH" => Value::Integer(text.encode_utf16().count() as i64 * 2),
        "UPPER" => Value::Text(text.to_uppercase()),
        "LOWER" => Value::Text(text.to_lowercase()),
        "LTRIM" => Value::Text(text.trim_start_matches(' ').to_owned()),
        "RTRIM" => Value::Text(text.trim_end_matches(' ').to_owned()),
        "TRIM" => Value::Text(text.trim_matches(' ').to_owned()),
        "REPLACE" if other(1).is_empty() => Value::Text(text.clone()),
        "REPLACE" => Value::Text(text.replace(other(1), other(2))),
        "CHARINDEX" => {
            let (needle, hay) = (text.to_lowercase(), other(1).to_lowercase());
            let from = usize::try_from(number(2) - 1).unwrap_or_default();
            let skipped = hay.char_indices().nth(from).map_or(hay.len(), |(at, _)| at);
            let found = hay[skipped..].find(&needle).map(|at| hay[..skipped + at].chars().count() as i64 + 1);
            Value::Integer(found.unwrap_or_default())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(like("127.0.0.1", "127.%", None));
        assert!(like("::FFFF:127.0.0.1", "::ffff:127.%", None));
        assert!(like("SQLAgent - TSQL JobStep", "sqlagent - %", None));
        assert!(like("IP12", "IP[0-9]_", None));
        assert!(!like("IPAll", "IP[0-9]%", None));
        assert!(like("IPAll", "IP[^0-9]%", None));
        assert!(like("50%", "50!%", Some('!')));
        assert!(!like("500", "50!%", Some('!')));
        assert!(!like("SQL Server Agent (X)", "SQL Server (%", None));
    }

    #[test]
    fn functions() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(text_function("LEFT", &[text("abc"), Value::Integer(2)]), text("ab"));
        assert_eq!(
            text_function("SUBSTRING", &[text("abcd"), Value::Integer(2), Value::Integer(2)]),
            text("bc")
        );
        assert_eq!(
            text_function("CHARINDEX", &[text("C"), text("abcabc"), Value::Integer(4)]),
            Value::Integer(6)
        );
        assert_eq!(text_function("LEN", &[text("ab  ")]), Value::Integer(2));
        assert_eq!(text_function("LEFT", &[Value::Null, Value::Integer(2)]), Value::Null);
    }
}
