//! A batch of statements: split, checked as a whole, then run one after another.
//! Only reads are run; what would change anything is refused and reported as a violation.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::types::Value;
use sqlparser::{
    ast::Statement,
    dialect::MsSqlDialect,
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};

use super::{
    compile::{CompiledQuery, Compiler, OutputColumn},
    engine::{self, Plan, ResultSet},
    error_log,
    failure::SqlError,
    scope::{NO_SOURCES, Place},
    split::{Piece, split},
    types::SqlType,
    world::World,
};

/// Variables and parameters by lower-case name.
pub(crate) type Variables = BTreeMap<String, (SqlType, Value)>;

/// What one statement answered.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Rows.
    Rows(ResultSet),
    /// Nothing to show.
    Done,
    /// An error, which ended the batch.
    Failed(SqlError),
}

/// What a batch answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Answers in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Why the batch should not have been sent, for the test that looks on.
    pub(crate) violations: Vec<String>,
    /// Whether the host was asked for the meaning of a name.
    pub(crate) asked_host: bool,
}

enum Step {
    Nothing,
    Assign(String, SqlType, Option<Plan>),
    Select(Plan),
    ErrorLog(Vec<Plan>, String),
}

/// Runs a batch with the parameters that came with it.
pub(crate) fn run(world: &Arc<World>, text: &str, parameters: Variables) -> Answer {
    let mut answer = Answer::default();
    let mut variables = parameters;
    let steps = match prepare(world, text, &variables) {
        Ok(steps) => steps,
        Err(refusal) => {
            answer.violations.extend(refusal.violation.map(|reason| format!("{reason}: {text}")));
            answer.outcomes.push(Outcome::Failed(refusal.error));
            return answer;
        }
    };
    for step in steps {
        match step.run(world, &mut variables) {
            Ok(outcome) => answer.outcomes.push(outcome),
            Err(error) => {
                if error.is_not_played() {
                    answer.violations.push(format!("{error}: {text}"));
                }
                answer.outcomes.push(Outcome::Failed(error));
                break;
            }
        }
    }
    answer
}

/// First words of statements that change something, or may.
const CHANGES: [&str; 20] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "DENY",
    "BACKUP",
    "RESTORE",
    "DBCC",
    "KILL",
    "SHUTDOWN",
    "RECONFIGURE",
    "WAITFOR",
    "USE",
    "BULK",
];

/// First words of statements that a server knows and this peer does not run.
const CONTROL_OF_FLOW: [&str; 8] = ["IF", "WHILE", "BEGIN", "PRINT", "RETURN", "GOTO", "THROW", "RAISERROR"];

struct Refusal {
    error: SqlError,
    violation: Option<String>,
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        // What the peer cannot read must not pass unseen: it would hide an untested statement.
        let violation = (error.is_not_played() || error.number == 102).then(|| error.to_string());
        Self { error, violation }
    }
}

fn prepare(world: &World, text: &str, parameters: &Variables) -> Result<Vec<Step>, Refusal> {
    let tokens = Tokenizer::new(&MsSqlDialect {}, text)
        .tokenize()
        .map_err(|error| SqlError::syntax(error.to_string()))?;
    let mut kinds: BTreeMap<String, SqlType> =
        parameters.iter().map(|(name, (kind, _))| (name.clone(), *kind)).collect();
    let mut steps = Vec::new();
    for piece in split(tokens)? {
        match piece {
            Piece::SetOption => steps.push(Step::Nothing),
            Piece::Declare { name, kind, value } => {
                let plan = match value {
                    Some(tokens) => Some(expression(world, tokens, &kinds, Some(kind))?),
                    None => None,
                };
                let lower = name.to_ascii_lowercase();
                if kinds.insert(lower.clone(), kind).is_some() {
                    let text = format!("The variable name '{name}' has already been declared.");
                    return Err(SqlError { class: 15, ..SqlError::of(134, text) }.into());
                }
                steps.push(Step::Assign(lower, kind, plan));
            }
            Piece::Assign { name, value } => {
                let lower = name.to_ascii_lowercase();
                let kind = *kinds.get(&lower).ok_or_else(|| SqlError::no_variable(&name))?;
                steps.push(Step::Assign(lower, kind, Some(expression(world, value, &kinds, Some(kind))?)));
            }
            Piece::Query(tokens) => steps.push(Step::Select(query(world, tokens, &kinds)?)),
            Piece::Execute { procedure, arguments } if error_log::is_reader(&procedure) => {
                let arguments: Result<Vec<Plan>, SqlError> =
                    arguments.into_iter().map(|tokens| expression(world, tokens, &kinds, None)).collect();
                steps.push(Step::ErrorLog(arguments?, procedure));
            }
            Piece::Execute { procedure, .. } => {
                let error = error_log::execute_denied(&procedure);
                return Err(Refusal { violation: Some(format!("executes {procedure}")), error });
            }
            Piece::Other(word) if CONTROL_OF_FLOW.contains(&word.as_str()) => {
                return Err(SqlError::not_played(format_args!("{word}")).into());
            }
            Piece::Other(word) if !CHANGES.contains(&word.as_str()) => {
                // A first word that is no keyword is taken for a procedure.
                let error = SqlError::of(2_812, format!("Could not find stored procedure '{word}'."));
                return Err(Refusal { violation: Some(error.to_string()), error });
            }
            Piece::Other(verb) => {
                let text = format!(
                    "The {verb} permission was denied on the object, database 'master', schema 'dbo'."
                );
                let violation = Some(format!("{verb} is not a read"));
                return Err(Refusal { violation, error: SqlError::denied(229, text) });
            }
        }
    }
    Ok(steps)
}

fn query(world: &World, tokens: Vec<Token>, kinds: &BTreeMap<String, SqlType>) -> Result<Plan, Refusal> {
    let dialect = MsSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens(tokens);
    let statement = parser.parse_statement().map_err(|error| SqlError::syntax(error.to_string()))?;
    let rest = parser.peek_token().token;
    if rest != Token::EOF {
        return Err(SqlError::syntax(rest).into());
    }
    let Statement::Query(query) = statement else {
        let error = SqlError::denied(229, "The permission was denied on the object, database 'master'.");
        return Err(Refusal { violation: Some("is not a query".to_owned()), error });
    };
    let mut compiler = Compiler::new(world, kinds);
    let compiled = compiler.query(&query, None)?;
    for column in &compiled.columns {
        if matches!(column.kind, SqlType::Variant | SqlType::Numeric) {
            let what =
                format!("a result column of type {}; CAST it ({})", column.kind.bare_name(), column.name);
            return Err(SqlError::not_played(what).into());
        }
        if column.name.starts_with('@') {
            return Err(SqlError::not_played("SELECT that assigns a variable").into());
        }
    }
    Ok(Plan { query: compiled, reads: compiler.reads, binds: compiler.binds })
}

/// A value by itself, converted where it goes into a variable.
fn expression(
    world: &World,
    tokens: Vec<Token>,
    kinds: &BTreeMap<String, SqlType>,
    target: Option<SqlType>,
) -> Result<Plan, SqlError> {
    let dialect = MsSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens(tokens);
    let expression = parser.parse_expr().map_err(|error| SqlError::syntax(error.to_string()))?;
    let rest = parser.peek_token().token;
    if rest != Token::EOF {
        return Err(SqlError::syntax(rest));
    }
    let mut compiler = Compiler::new(world, kinds);
    let piece = compiler.value(&expression, Place::row(&NO_SOURCES))?;
    let kind = target.unwrap_or(piece.kind);
    piece.kind.check_cast(kind)?;
    let sql = format!("SELECT ts_convert({}, '{}', '{kind}', 0)", piece.sql, piece.kind);
    let columns = vec![OutputColumn { name: String::new(), kind }];
    Ok(Plan { query: CompiledQuery { sql, columns }, reads: compiler.reads, binds: compiler.binds })
}

impl Step {
    fn run(self, world: &Arc<World>, variables: &mut Variables) -> Result<Outcome, SqlError> {
        match self {
            Self::Nothing => Ok(Outcome::Done),
            Self::Assign(name, kind, plan) => {
                let value = match plan {
                    Some(plan) => single(engine::run(world, &plan, variables)?),
                    None => Value::Null,
                };
                variables.insert(name, (kind, value));
                Ok(Outcome::Done)
            }
            Self::Select(plan) => Ok(Outcome::Rows(engine::run(world, &plan, variables)?)),
            Self::ErrorLog(plans, procedure) => {
                let mut arguments = Vec::new();
                for plan in &plans {
                    arguments.push(single(engine::run(world, plan, variables)?));
                }
                error_log::read(world, &procedure, &arguments).map(Outcome::Rows)
            }
        }
    }
}

fn single(result: ResultSet) -> Value {
    result.rows.into_iter().flatten().next().unwrap_or(Value::Null)
}
