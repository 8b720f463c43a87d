//! Translates expressions of Transact-SQL: values and conditions are different things there, as in the server.
//! Built-in functions are next door; names of columns are resolved by the compiler.

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Ident, UnaryOperator};

use super::{
    compile::{Compiler, Piece, literal},
    failure::SqlError,
    operands::{as_text, case, coerce, concatenate, constant, global_variable},
    scope::Place,
    types::{Family, SqlType},
};

impl Compiler<'_> {
    /// An expression that has a value.
    pub(crate) fn value(&mut self, expression: &Expr, place: Place<'_>) -> Result<Piece, SqlError> {
        let place = if place.is_grouped_by(expression) { place.ungrouped() } else { place };
        match expression {
            Expr::Identifier(name) => self.identifier(name, place),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, name] => self.column(Some(&qualifier.value), &name.value, place),
                _ => Err(SqlError::syntax(expression)),
            },
            Expr::Value(value) => constant(&value.value),
            Expr::Nested(inner) => {
                let piece = self.value(inner, place)?;
                Ok(Piece { sql: format!("({})", piece.sql), ..piece })
            }
            Expr::Collate { expr, .. } => self.value(expr, place),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, place),
            Expr::BinaryOp { left, op, right } => self.arithmetic(left, op, right, place),
            Expr::Cast { kind, expr, data_type, .. } => {
                let is_try = *kind == CastKind::TryCast;
                self.conversion(expr, data_type, is_try, "0", place)
            }
            Expr::Convert { is_try, expr, data_type: Some(data_type), styles, .. } => {
                let style = match styles.first() {
                    Some(style) => self.value(style, place)?.sql,
                    None => "0".to_owned(),
                };
                self.conversion(expr, data_type, *is_try, &style, place)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut tests = Vec::new();
                let mut results = Vec::new();
                for branch in conditions {
                    tests.push(match operand {
                        Some(operand) => self.compare(operand, "=", &branch.condition, place)?,
                        None => self.predicate(&branch.condition, place)?,
                    });
                    results.push(self.value(&branch.result, place)?);
                }
                if let Some(otherwise) = else_result {
                    results.push(self.value(otherwise, place)?);
                }
                case(&tests, results)
            }
            Expr::Function(function) => self.function(function, place),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let (Some(from), Some(length)) = (substring_from, substring_for) else {
                    return Err(SqlError::syntax("SUBSTRING"));
                };
                let arguments = [&**expr, &**from, &**length].map(|argument| self.value(argument, place));
                let [text, from, length] = arguments;
                self.built_in("SUBSTRING", vec![text?, from?, length?])
            }
            Expr::Trim { expr, .. } => {
                let text = self.value(expr, place)?;
                self.built_in("TRIM", vec![text])
            }
            Expr::Subquery(query) => {
                let compiled = self.subquery(query, place)?;
                match compiled.columns.as_slice() {
                    [column] => Ok(Piece { sql: format!("({})", compiled.sql), kind: column.kind }),
                    _ => Err(SqlError::of(
                        116,
                        "Only one expression can be specified in the select list when the subquery is not introduced \
                         with EXISTS.",
                    )),
                }
            }
            other => Err(SqlError::not_played(format_args!("the expression {other}"))),
        }
    }

    /// An expression that is true, false or unknown.
    pub(crate) fn predicate(&mut self, expression: &Expr, place: Place<'_>) -> Result<String, SqlError> {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        Ok(match expression {
            Expr::Nested(inner) => format!("({})", self.predicate(inner, place)?),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                format!("(NOT {})", self.predicate(expr, place)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                format!("({} AND {})", self.predicate(left, place)?, self.predicate(right, place)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                format!("({} OR {})", self.predicate(left, place)?, self.predicate(right, place)?)
            }
            Expr::BinaryOp { left, op, right } => match comparison(op) {
                Some(sign) => self.compare(left, sign, right, place)?,
                None => return Err(not_boolean(expression)),
            },
            Expr::IsNull(inner) => format!("({} IS NULL)", self.value(inner, place)?.sql),
            Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", self.value(inner, place)?.sql),
            Expr::InList { expr, list, negated } => {
                let mut tests = Vec::new();
                for item in list {
                    tests.push(self.compare(expr, "=", item, place)?);
                }
                format!("({}({}))", not(negated), tests.join(" OR "))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let piece = self.value(expr, place)?;
                let compiled = self.subquery(subquery, place)?;
                let collation = if piece.kind.is_text() { " COLLATE NOCASE" } else { "" };
                format!("(({}){collation} {}IN ({}))", piece.sql, not(negated), compiled.sql)
            }
            Expr::Between { expr, negated, low, high } => {
                let above = self.compare(expr, ">=", low, place)?;
                let below = self.compare(expr, "<=", high, place)?;
                format!("({}({above} AND {below}))", not(negated))
            }
            Expr::Like { negated, expr, pattern, escape_char, any: false } => {
                let text = self.value(expr, place).and_then(as_text)?;
                let pattern = self.value(pattern, place).and_then(as_text)?;
                let escape = match escape_char {
                    Some(value) => constant(value)?.sql,
                    None => "''".to_owned(),
                };
                format!("({}ts_like({}, {}, {escape}))", not(negated), text.sql, pattern.sql)
            }
            Expr::Exists { subquery, negated } => {
                format!("({}EXISTS ({}))", not(negated), self.subquery(subquery, place)?.sql)
            }
            other => return Err(not_boolean(other)),
        })
    }

    fn compare(
        &mut self,
        left: &Expr,
        sign: &str,
        right: &Expr,
        place: Place<'_>,
    ) -> Result<String, SqlError> {
        let (left, right) = (self.value(left, place)?, self.value(right, place)?);
        let common = left.kind.unify(right.kind);
        let (left, right) = (coerce(left, common)?, coerce(right, common)?);
        // The usual collations ignore case.
        let collation = if common.is_text() { " COLLATE NOCASE" } else { "" };
        Ok(format!("(({}){collation} {sign} ({}))", left.sql, right.sql))
    }

    fn identifier(&mut self, name: &Ident, place: Place<'_>) -> Result<Piece, SqlError> {
        if name.quote_style.is_none() {
            if let Some(global) = name.value.strip_prefix("@@") {
                return global_variable(global);
            }
            if name.value.starts_with('@') {
                return self.variable(&name.value);
            }
            if name.value.eq_ignore_ascii_case("CURRENT_TIMESTAMP") {
                return self.built_in("GETDATE", Vec::new());
            }
        }
        self.column(None, &name.value, place)
    }

    fn variable(&mut self, name: &str) -> Result<Piece, SqlError> {
        let key = name.to_ascii_lowercase();
        let kind = *self.variables.get(&key).ok_or_else(|| SqlError::no_variable(name))?;
        let position = match self.binds.iter().position(|known| *known == key) {
            Some(position) => position,
            None => {
                self.binds.push(key);
                self.binds.len() - 1
            }
        };
        Ok(Piece { sql: format!("?{}", position + 1), kind })
    }

    fn unary(
        &mut self,
        operator: UnaryOperator,
        expression: &Expr,
        place: Place<'_>,
    ) -> Result<Piece, SqlError> {
        let piece = self.value(expression, place)?;
        let sign = match operator {
            UnaryOperator::Minus => "-",
            UnaryOperator::Plus => "+",
            _ => return Err(not_boolean(expression)),
        };
        Ok(Piece { sql: format!("({sign}{})", piece.sql), ..piece })
    }

    fn arithmetic(
        &mut self,
        left: &Expr,
        operator: &BinaryOperator,
        right: &Expr,
        place: Place<'_>,
    ) -> Result<Piece, SqlError> {
        let sign = match operator {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::BitwiseAnd => "&",
            BinaryOperator::BitwiseOr => "|",
            // A comparison or AND where a value is wanted: Transact-SQL has no boolean values.
            _ => return Err(SqlError::syntax(operator)),
        };
        let (left, right) = (self.value(left, place)?, self.value(right, place)?);
        let kind = left.kind.unify(right.kind);
        if kind.is_text() {
            return concatenate(left, sign, right);
        }
        if matches!(kind.family(), Family::Identifier | Family::Variant | Family::Binary)
            || matches!(kind, SqlType::DateTime2 | SqlType::DateTimeOffset(_))
        {
            let text = format!("Operand data type {} is invalid for {sign} operator.", kind.bare_name());
            return Err(SqlError::of(8117, text));
        }
        let (left, right) = (coerce(left, kind)?, coerce(right, kind)?);
        let sql = match sign {
            "/" | "%" => format!("ts_divide({}, {}, {})", left.sql, right.sql, literal(sign)),
            _ => format!("({} {sign} {})", left.sql, right.sql),
        };
        if matches!(kind, SqlType::Int | SqlType::SmallInt | SqlType::TinyInt) {
            return Ok(Piece { sql: format!("ts_convert({sql}, '{kind}', '{kind}', 0)"), kind });
        }
        Ok(Piece { sql, kind })
    }

    fn conversion(
        &mut self,
        expression: &Expr,
        target: &DataType,
        is_try: bool,
        style: &str,
        place: Place<'_>,
    ) -> Result<Piece, SqlError> {
        let piece = self.value(expression, place)?;
        let kind = SqlType::parse_in_statement(&target.to_string())?;
        piece.kind.check_cast(kind)?;
        let function = if is_try { "ts_try_convert" } else { "ts_convert" };
        Ok(Piece { sql: format!("{function}({}, '{}', '{kind}', {style})", piece.sql, piece.kind), kind })
    }
}

fn comparison(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
}

fn not_boolean(expression: &Expr) -> SqlError {
    let text = format!(
        "An expression of non-boolean type specified in a context where a condition is expected, near '{expression}'."
    );
    SqlError { class: 15, ..SqlError::of(4145, text) }
}
