//! Expressions: texts, attributes (`mv["x"]`, `cs["x"]`), `+`, and a few of the server's functions. Enough to try the
//! everyday ones; whatever else is asked for is answered with where the reading stopped.

use serde_json::{Value, json};

use super::body::Body;
use super::wire::{Call, Handled, Reply, Routed};

pub(super) fn route(call: &Call, segments: &[&str]) -> Routed {
    (call.method == "POST" && segments == ["synchronisation", "test-expression"]).then(|| test(call))
}

fn test(call: &Call) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.TestExpressionRequest")?;
    let expression = body.text("expression")?.unwrap_or_default();
    if expression.trim().is_empty() {
        return Err(super::errors::bad_request(call, "Expression is required."));
    }
    let mut reader = Reader {
        text: &expression,
        at: 0,
        mv: body.value("mvAttributes").unwrap_or_default(),
        cs: body.value("csAttributes").unwrap_or_default(),
    };
    let result = reader.sum(0).and_then(|value| {
        reader.space();
        if reader.at == expression.len() { Ok(value) } else { Err("Unexpected text after the expression.".to_owned()) }
    });
    let (value, error) = match result {
        Ok(value) => (value, None),
        Err(error) => (Value::Null, Some(error)),
    };
    let kind = match &value {
        Value::String(_) => Some("String"),
        Value::Number(_) => Some("Int32"),
        Value::Bool(_) => Some("Boolean"),
        _ => None,
    };
    Ok(Reply::ok(&json!({
        "isValid": error.is_none(),
        "result": value,
        "resultType": kind,
        "errorMessage": &error,
        "errorPosition": error.as_ref().map(|_| reader.at),
    })))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    mv: Value,
    cs: Value,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, sign: char) -> bool {
        self.space();
        let here = self.rest().starts_with(sign);
        if here {
            self.at += sign.len_utf8();
        }
        here
    }

    fn need(&mut self, sign: char) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("'{sign}' expected.")) }
    }

    /// Depth is bounded: nesting comes from outside.
    fn sum(&mut self, depth: usize) -> Result<Value, String> {
        if depth > 50 {
            return Err("The expression is nested too deeply.".to_owned());
        }
        let mut value = self.one(depth)?;
        while self.take('+') {
            let other = self.one(depth)?;
            value = match (value.as_i64(), other.as_i64()) {
                (Some(a), Some(b)) => json!(a.saturating_add(b)),
                _ => json!(plain(&value) + &plain(&other)),
            };
        }
        Ok(value)
    }

    fn one(&mut self, depth: usize) -> Result<Value, String> {
        self.space();
        match self.rest().chars().next() {
            Some('"') => self.quoted().map(Value::String),
            Some('(') => {
                self.at += 1;
                let value = self.sum(depth + 1)?;
                self.need(')')?;
                Ok(value)
            }
            Some('0'..='9') => {
                let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
                self.at += digits.len();
                Ok(json!(digits.parse::<i64>().unwrap_or_default()))
            }
            Some(letter) if letter.is_alphabetic() => self.named(depth),
            _ => Err("A value was expected.".to_owned()),
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let body = self.rest().get(1..).unwrap_or_default();
        let end = body.find('"').ok_or("The text has no end.")?;
        let text = body.get(..end).unwrap_or_default().to_owned();
        self.at += end + 2;
        Ok(text)
    }

    fn named(&mut self, depth: usize) -> Result<Value, String> {
        let start = self.at;
        let name: String = self.rest().chars().take_while(|c| c.is_alphanumeric()).collect();
        self.at += name.len();
        if matches!(name.as_str(), "true" | "false") {
            return Ok(json!(name == "true"));
        }
        if name == "null" {
            return Ok(Value::Null);
        }
        if matches!(name.as_str(), "mv" | "cs") {
            self.need('[')?;
            self.space();
            let attribute = self.quoted()?;
            self.need(']')?;
            let from = if name == "mv" { &self.mv } else { &self.cs };
            return Ok(from[attribute.as_str()].clone());
        }
        if !self.take('(') {
            self.at = start;
            return Err(format!("Unknown identifier '{name}'."));
        }
        let mut arguments = Vec::new();
        if !self.take(')') {
            arguments.push(self.sum(depth + 1)?);
            while self.take(',') {
                arguments.push(self.sum(depth + 1)?);
            }
            self.need(')')?;
        }
        function(&name, &arguments).ok_or_else(|| {
            self.at = start;
            format!("Unknown function '{name}' or wrong arguments.")
        })
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn function(name: &str, arguments: &[Value]) -> Option<Value> {
    let texts: Vec<String> = arguments.iter().map(plain).collect();
    let size = |place: usize| arguments.get(place)?.as_u64()?.try_into().ok();
    Some(match (name, texts.as_slice()) {
        ("Upper", [text]) => json!(text.to_uppercase()),
        ("Lower", [text]) => json!(text.to_lowercase()),
        ("Trim", [text]) => json!(text.trim()),
        ("Length" | "Len", [text]) => json!(text.chars().count()),
        ("Left", [text, _]) => json!(text.chars().take(size(1)?).collect::<String>()),
        ("Substring", [text, _, _]) => {
            json!(text.chars().skip(size(1)?).take(size(2)?).collect::<String>())
        }
        ("Replace", [text, old, new]) => json!(text.replace(old.as_str(), new)),
        ("IsNullOrEmpty", [text]) => json!(text.is_empty()),
        ("Coalesce", [..]) => arguments.iter().find(|value| !value.is_null())?.clone(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn everyday_expressions_are_evaluated_and_others_located() {
        let mut world = world();
        let mut test = |expression: &str| {
            let body = json!({
                "expression": expression,
                "mvAttributes": {"displayName": "ana"},
                "csAttributes": {"sn": " Silva "},
            });
            ask(&mut world, "POST", "/synchronisation/test-expression", &body.to_string())
        };
        assert_eq!(test(r#"Upper(Trim(cs["sn"]))"#).1["result"], "SILVA");
        assert_eq!(test(r#"mv["displayName"] + "@example.org""#).1["result"], "ana@example.org");
        assert_eq!(test(r#"Coalesce(mv["x"], 1 + 2)"#).1["resultType"], "Int32");
        let (status, wrong) = test("Upper(");
        assert_eq!((status, &wrong["isValid"], &wrong["errorPosition"]), (200, &json!(false), &json!(6)));
        assert_eq!(test("Nonesuch(1)").1["isValid"], false);
        assert_eq!(test(&"(".repeat(500)).1["isValid"], false);
        assert_eq!(test(" ").0, 400);
    }
}
