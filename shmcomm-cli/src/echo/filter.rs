//! [`Filter`]: a condition on the fields of a message.
//!
//! Owns the grammar: `or` of `and` of comparisons, with `!` and parentheses. Calls nothing. Never fails on a
//! message: a field that is missing is unequal to everything.

use super::message::{Message, Part};
use shmcomm::schema::{Value, ValueRef};
use std::cmp::Ordering;

/// Largest number of nested parentheses.
const DEPTH: usize = 32;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    /// The field is there, and neither false, zero nor empty.
    True(String),
    Compare(String, Operator, Constant),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    /// The text contains the constant.
    Contains,
}

/// Longer operators first: `<=` starts with `<`.
const OPERATORS: [(&str, Operator); 8] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
    ("~", Operator::Contains),
    ("=", Operator::Equal),
];

#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
}

impl Filter {
    /// Parses a condition. The error names the rest that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text };
        let filter = parser.any(DEPTH)?;
        parser.space();
        if parser.rest.is_empty() { Ok(filter) } else { Err(parser.error("`&&`, `||` or the end")) }
    }

    /// Returns the fields that the condition reads.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Filter::Any(parts) | Filter::All(parts) => parts.iter().flat_map(Filter::fields).collect(),
            Filter::Not(part) => part.fields(),
            Filter::True(field) | Filter::Compare(field, ..) => vec![field],
        }
    }

    /// Returns `true` if the message meets the condition.
    pub fn accepts(&self, message: &Message<'_>) -> bool {
        match self {
            Filter::Any(parts) => parts.iter().any(|part| part.accepts(message)),
            Filter::All(parts) => parts.iter().all(|part| part.accepts(message)),
            Filter::Not(part) => !part.accepts(message),
            Filter::True(field) => message.at(field).is_some_and(|part| match constant(part) {
                Some(Constant::Bool(truth)) => truth,
                Some(Constant::Int(number)) => number != 0,
                Some(Constant::Float(number)) => number != 0.0,
                Some(Constant::Text(text)) => !text.is_empty(),
                Some(Constant::Null) => false,
                None => true,
            }),
            Filter::Compare(field, operator, wanted) => {
                let found = message.at(field).and_then(constant);
                found.map_or(*operator == Operator::Unequal, |found| compare(&found, *operator, wanted))
            }
        }
    }
}

/// Returns a part as a constant, if it is a single value.
fn constant(part: Part<'_>) -> Option<Constant> {
    Some(match part {
        Part::View(ValueRef::Null) | Part::Tree(Value::Null) => Constant::Null,
        Part::View(ValueRef::Bool(truth)) | Part::Tree(&Value::Bool(truth)) => Constant::Bool(truth),
        Part::View(ValueRef::Enum { name: text, .. } | ValueRef::Text(text)) => {
            Constant::Text(text.to_owned())
        }
        Part::Tree(Value::Text(text)) => Constant::Text(text.clone()),
        Part::View(ValueRef::Char(c)) => Constant::Text(c.into()),
        Part::View(ValueRef::F32(x)) | Part::Tree(&Value::F32(x)) => {
            // As it is shown: 0.97, not 0.9700000286102295.
            Constant::Float(x.to_string().parse().unwrap_or(f64::NAN))
        }
        Part::View(ValueRef::F64(x)) | Part::Tree(&Value::F64(x)) => Constant::Float(x),
        Part::View(view) => Constant::Int(view.as_int()?),
        Part::Tree(value) => Constant::Int(value.as_int()?),
    })
}

fn compare(found: &Constant, operator: Operator, wanted: &Constant) -> bool {
    if operator == Operator::Contains {
        return matches!((found, wanted), (Constant::Text(found), Constant::Text(wanted)) if found.contains(wanted));
    }
    let order = match (found, wanted) {
        (Constant::Int(found), Constant::Int(wanted)) => Some(found.cmp(wanted)),
        (Constant::Int(found), Constant::Float(wanted)) => (*found as f64).partial_cmp(wanted),
        (Constant::Float(found), Constant::Int(wanted)) => found.partial_cmp(&(*wanted as f64)),
        (Constant::Float(found), Constant::Float(wanted)) => found.partial_cmp(wanted),
        (Constant::Text(found), Constant::Text(wanted)) => Some(found.cmp(wanted)),
        (Constant::Bool(found), Constant::Bool(wanted)) => Some(found.cmp(wanted)),
        (Constant::Null, Constant::Null) => Some(Ordering::Equal),
        _ => None,
    };
    match (operator, order) {
        (Operator::Unequal, order) => order != Some(Ordering::Equal),
        (_, None) => false,
        (Operator::Equal, Some(order)) => order.is_eq(),
        (Operator::Less, Some(order)) => order.is_lt(),
        (Operator::AtMost, Some(order)) => order.is_le(),
        (Operator::More, Some(order)) => order.is_gt(),
        (Operator::AtLeast, Some(order)) => order.is_ge(),
        (Operator::Contains, Some(_)) => false,
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn error(&self, expected: &str) -> String {
        let rest: String = self.rest.chars().take(20).collect();
        let at =
            if rest.is_empty() { "at the end".to_owned() } else { format!("at `{}`", rest.escape_debug()) };
        format!("expected {expected} {at}; a condition is like `pose.x > 1.5 && mode == \"Run\"`")
    }

    fn any(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take("||") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.one(depth)?];
        while self.take("&&") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, String> {
        let Some(depth) = depth.checked_sub(1) else { return Err("the condition nests too deep".into()) };
        self.space();
        if !self.rest.starts_with("!=") && self.take("!") {
            return Ok(Filter::Not(Box::new(self.one(depth)?)));
        }
        if self.take("(") {
            let inner = self.any(depth)?;
            return if self.take(")") { Ok(inner) } else { Err(self.error("`)`")) };
        }
        let field = self.field()?;
        self.space();
        let Some((token, operator)) = OPERATORS.iter().find(|(token, _)| self.rest.starts_with(token)) else {
            return Ok(Filter::True(field));
        };
        self.rest = &self.rest[token.len()..];
        Ok(Filter::Compare(field, *operator, self.constant()?))
    }

    fn field(&mut self) -> Result<String, String> {
        let end =
            self.rest.find(|c: char| !(c.is_alphanumeric() || "_.[]".contains(c))).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.error("a field"));
        }
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(field.to_owned())
    }

    fn constant(&mut self) -> Result<Constant, String> {
        self.space();
        if let quote @ ('"' | '\'') = self.rest.chars().next().unwrap_or(' ') {
            let (text, rest) =
                self.rest[1..].split_once(quote).ok_or_else(|| self.error("a closing quote"))?;
            self.rest = rest;
            return Ok(Constant::Text(text.to_owned()));
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "&|()!<>=~\"'".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(self.error("a value"));
        }
        self.rest = rest;
        Ok(match word {
            "true" => Constant::Bool(true),
            "false" => Constant::Bool(false),
            "none" | "null" => Constant::Null,
            _ => match (word.parse(), word.parse()) {
                (Ok(number), _) => Constant::Int(number),
                (_, Ok(number)) => Constant::Float(number),
                // The name of a variant needs no quotes.
                _ => Constant::Text(word.to_owned()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(filter: &str) -> bool {
        let message = Value::from_iter([
            ("x", Value::from(1.5)),
            ("n", Value::from(7)),
            ("f", Value::F32(0.97)),
            ("mode", Value::from("Run")),
            ("ok", Value::from(true)),
            ("none", Value::Null),
            ("list", Value::from(vec![1, 2, 3])),
        ]);
        Filter::parse(filter).unwrap_or_else(|why| panic!("{why}")).accepts(&Message::Tree(message))
    }

    #[test]
    fn conditions_compare_and_combine() {
        for filter in [
            "x > 1",
            "x == 1.5",
            "x>=1.5&&n<8",
            "n != 8",
            "mode == \"Run\"",
            "mode==Run",
            "ok",
            "!none",
            "list[2] == 3",
            "mode ~ 'un'",
            "f == 0.97",
            "x < 1 || n == 7",
            "!(x < 1)",
            "(n == 7) && (ok == true)",
            "none == null",
            "missing != 3",
            "list",
            "n = 7",
        ] {
            assert!(accepts(filter), "{filter}");
        }
        for filter in [
            "x > 2",
            "missing",
            "missing == 3",
            "mode < 3",
            "list[9] == 1",
            "!ok",
            "n == seven",
            "list ~ 'a'",
        ] {
            assert!(!accepts(filter), "{filter}");
        }
    }

    #[test]
    fn wrong_conditions_are_explained() {
        for (filter, word) in [
            ("", "a field"),
            ("x >", "a value"),
            ("x > 1 y", "`&&`"),
            ("(x", "`)`"),
            ("x == 'a", "closing quote"),
            ("== 1", "a field"),
        ] {
            let why = Filter::parse(filter).unwrap_err();
            assert!(why.contains(word), "{filter}: {why}");
        }
        assert!(Filter::parse(&"(".repeat(1000)).is_err());
    }
}
