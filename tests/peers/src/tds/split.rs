//! Cuts a batch into its statements: Transact-SQL needs no semicolon between them.
//! SET, DECLARE and EXECUTE are read here, because the parser knows too little of them; queries are left whole.

use sqlparser::tokenizer::{Token, Whitespace};

use super::{failure::SqlError, types::SqlType};

/// A statement of a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// `SET option …`, which changes nothing that is played.
    SetOption,
    /// One variable of a DECLARE.
    Declare {
        /// Name with its `@`.
        name: String,
        /// Declared type.
        kind: SqlType,
        /// Tokens of the initial value.
        value: Option<Vec<Token>>,
    },
    /// `SET @name = value`.
    Assign {
        /// Name with its `@`.
        name: String,
        /// Tokens of the value.
        value: Vec<Token>,
    },
    /// A query, without its OPTION clause.
    Query(Vec<Token>),
    /// `EXEC procedure arguments`.
    Execute {
        /// Name with its qualifiers.
        procedure: String,
        /// Tokens of each argument.
        arguments: Vec<Vec<Token>>,
    },
    /// Anything else, by its first word.
    Other(String),
}

/// Cuts the tokens of a batch.
pub(crate) fn split(tokens: Vec<Token>) -> Result<Vec<Piece>, SqlError> {
    let tokens = without_blanks(tokens);
    let mut groups: Vec<Vec<Token>> = vec![Vec::new()];
    let mut depth = 0_i32;
    for token in tokens {
        match &token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::SemiColon if depth == 0 => {
                groups.push(Vec::new());
                continue;
            }
            _ => {}
        }
        let Some(group) = groups.last_mut() else { continue };
        let after_setting =
            group.first().is_some_and(|first| ["SET", "DECLARE"].iter().any(|word| is(first, word)));
        let begins = ["SET", "DECLARE", "EXEC", "EXECUTE"].iter().any(|word| is(&token, word))
            || after_setting && ["SELECT", "WITH"].iter().any(|word| is(&token, word));
        if depth == 0 && begins && !group.is_empty() {
            groups.push(vec![token]);
        } else {
            group.push(token);
        }
    }
    let mut pieces = Vec::new();
    for group in groups.into_iter().filter(|group| !group.is_empty()) {
        read(group, &mut pieces)?;
    }
    Ok(pieces)
}

fn read(group: Vec<Token>, pieces: &mut Vec<Piece>) -> Result<(), SqlError> {
    let first = group.first().map(Token::to_string).unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "SET" => pieces.push(set(&group)?),
        "DECLARE" => {
            for declaration in divide(&group[1..], &Token::Comma) {
                pieces.push(declare(&declaration)?);
            }
        }
        "SELECT" | "WITH" | "(" => pieces.push(Piece::Query(without_option(group))),
        "EXEC" | "EXECUTE" => pieces.push(execute(&group[1..])),
        _ => pieces.push(Piece::Other(first)),
    }
    Ok(())
}

/// Options that may be set without effect on what is read ("SET statements").
const OPTIONS: [&str; 17] = [
    "NOCOUNT",
    "LOCK_TIMEOUT",
    "DEADLOCK_PRIORITY",
    "ANSI_NULLS",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ANSI_DEFAULTS",
    "ANSI_NULL_DFLT_ON",
    "ARITHABORT",
    "CONCAT_NULL_YIELDS_NULL",
    "QUOTED_IDENTIFIER",
    "XACT_ABORT",
    "TRANSACTION",
    "TEXTSIZE",
    "DATEFORMAT",
    "DATEFIRST",
    "LANGUAGE",
];

fn set(group: &[Token]) -> Result<Piece, SqlError> {
    let name = group.get(1).map(Token::to_string).unwrap_or_default();
    if name.starts_with('@') {
        return match group.get(2) {
            Some(Token::Eq) => Ok(Piece::Assign { name, value: group[3..].to_vec() }),
            _ => Err(SqlError::syntax(name)),
        };
    }
    let known = OPTIONS.iter().any(|option| name.eq_ignore_ascii_case(option));
    if known && group.len() >= 3 {
        return Ok(Piece::SetOption);
    }
    Err(SqlError { class: 15, ..SqlError::of(195, format!("'{name}' is not a recognized SET option.")) })
}

fn declare(tokens: &[Token]) -> Result<Piece, SqlError> {
    let name = tokens.first().map(Token::to_string).unwrap_or_default();
    if !name.starts_with('@') {
        return Err(SqlError::syntax(name));
    }
    let rest = match tokens.get(1) {
        Some(token) if is(token, "AS") => &tokens[2..],
        _ => &tokens[1..],
    };
    let end = rest.iter().position(|token| *token == Token::Eq).unwrap_or(rest.len());
    let mut kind: String = rest[..end].iter().map(Token::to_string).collect();
    // A text variable without a length has length 1 (char and varchar page).
    if ["nvarchar", "varchar", "nchar", "char", "varbinary", "binary"]
        .iter()
        .any(|it| kind.eq_ignore_ascii_case(it))
    {
        kind += "(1)";
    }
    let value = rest.get(end + 1..).map(<[Token]>::to_vec);
    Ok(Piece::Declare { name, kind: SqlType::parse_in_statement(&kind)?, value })
}

fn execute(tokens: &[Token]) -> Piece {
    let mut length = 0;
    while tokens.get(length).is_some_and(|token| {
        let joins = length == 0 || *token == Token::Period || tokens.get(length - 1) == Some(&Token::Period);
        joins && matches!(token, Token::Word(_) | Token::Period)
    }) {
        length += 1;
    }
    let name: String = tokens[..length].iter().map(Token::to_string).collect();
    let arguments = divide(&tokens[length..], &Token::Comma);
    Piece::Execute { procedure: name.replace(['[', ']', '"'], ""), arguments }
}

/// Parts between separators that stand outside parentheses.
fn divide(tokens: &[Token], separator: &Token) -> Vec<Vec<Token>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_i32;
    for token in tokens {
        depth += i32::from(*token == Token::LParen) - i32::from(*token == Token::RParen);
        if depth == 0 && token == separator {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(token.clone());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn without_blanks(tokens: Vec<Token>) -> Vec<Token> {
    let is_blank = |token: &Token| {
        matches!(
            token,
            Token::Whitespace(
                Whitespace::Space
                    | Whitespace::Newline
                    | Whitespace::Tab
                    | Whitespace::SingleLineComment { .. }
                    | Whitespace::MultiLineComment(_)
            )
        )
    };
    tokens.into_iter().filter(|token| !is_blank(token)).collect()
}

/// Drops `OPTION (…)` at the end: hints change the plan, not the answer.
fn without_option(mut group: Vec<Token>) -> Vec<Token> {
    let at = group.iter().rposition(|token| is(token, "OPTION"));
    if let Some(at) = at {
        let closes = group.last() == Some(&Token::RParen);
        let balanced = group[at..].iter().filter(|token| **token == Token::RParen).count()
            == group[at..].iter().filter(|token| **token == Token::LParen).count();
        if group.get(at + 1) == Some(&Token::LParen) && closes && balanced {
            group.truncate(at);
        }
    }
    group
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}
