//! Lists in pages: the envelope, the silent clamps and the depth limit, sorting and `prop:op:value` filters.

use serde_json::{Value, json};

use super::errors;
use super::wire::{Call, Reply};

/// Rows that may be skipped before the server refuses (0.14.0, observed).
const MAX_DEPTH: i64 = 1_000_000;
const MAX_PAGE_SIZE: i64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) number: i64,
    pub(super) size: i64,
}

impl Page {
    /// `page`, `pageSize` and `sortDirection` of a query.
    ///
    /// # Errors
    /// 400 for text instead of numbers, for an unknown direction and beyond the maximum depth.
    pub(super) fn of(call: &Call, default_size: i64) -> Result<Self, Reply> {
        let page = Self::sizes(call, default_size)?;
        if let Some(direction) = call.param("sortDirection")
            && !matches!(direction.to_ascii_lowercase().as_str(), "asc" | "desc")
        {
            return Err(errors::invalid_field("SortDirection", "Sort direction must be 'asc' or 'desc'."));
        }
        match page.too_deep() {
            Some(text) => Err(errors::invalid_field("Page", text)),
            None => Ok(page),
        }
    }

    /// As `of`, for the controllers that leave the depth check to themselves.
    pub(super) fn sizes(call: &Call, default_size: i64) -> Result<Self, Reply> {
        let number = number(call, "Page")?.filter(|n| *n > 0).unwrap_or(1);
        let size = number_or(call, "PageSize", default_size)?;
        Ok(Self { number, size })
    }

    pub(super) fn too_deep(self) -> Option<String> {
        ((self.number - 1) * self.size > MAX_DEPTH).then(|| {
            format!(
                "Page {} is beyond the maximum retrieval depth of 1,000,000 rows (the deepest page at a page size of {} is {}). Requests beyond this depth are rejected to protect database performance at scale; narrow the result set with a filter or search rather than paging so deep.",
                grouped(self.number),
                self.size,
                grouped(MAX_DEPTH / self.size + 1),
            )
        })
    }

    /// The envelope around this page's part of `all`; `show` is called for that part only.
    pub(super) fn envelope<T>(self, all: &[T], show: impl Fn(&T) -> Value) -> Value {
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let pages = (total + self.size - 1) / self.size;
        let skip = usize::try_from((self.number - 1) * self.size).unwrap_or(usize::MAX);
        let items: Vec<Value> =
            all.iter().skip(skip).take(usize::try_from(self.size).unwrap_or_default()).map(show).collect();
        json!({
            "items": items,
            "totalCount": total,
            "page": self.number,
            "pageSize": self.size,
            "totalPages": pages,
            "hasNextPage": self.number < pages,
            "hasPreviousPage": self.number > 1,
        })
    }
}

fn number_or(call: &Call, name: &str, default: i64) -> Result<i64, Reply> {
    Ok(number(call, name)?.filter(|n| *n > 0).unwrap_or(default).min(MAX_PAGE_SIZE))
}

fn number(call: &Call, name: &str) -> Result<Option<i64>, Reply> {
    call.param(name)
        .map(|text| {
            text.trim()
                .parse::<i32>()
                .map(i64::from)
                .map_err(|_| errors::invalid_field(name, format!("The value '{text}' is not valid for {name}.")))
        })
        .transpose()
}

/// 1000000 → 1,000,000
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Applies `sortBy`, `sortDirection` and `filter` to rows that are in their default order already.
/// Unknown properties and malformed filters change nothing; comparison of filters is case-sensitive.
pub(super) fn arrange(call: &Call, rows: &mut Vec<Value>) {
    for filter in call.params("filter") {
        let mut parts = filter.splitn(3, ':');
        if let (Some(property), Some(operator), Some(wanted)) = (parts.next(), parts.next(), parts.next())
            && rows.first().is_some_and(|row| field(row, property).is_some())
        {
            rows.retain(|row| holds(field(row, property), operator, wanted));
        }
    }
    if let Some(property) = call.param("sortBy")
        && rows.first().is_some_and(|row| field(row, property).is_some())
    {
        rows.sort_by(|a, b| compare(field(a, property), field(b, property)));
        let descending = call.param("sortDirection").is_some_and(|text| text.eq_ignore_ascii_case("desc"))
            || call.param("isDescending").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if descending {
            rows.reverse();
        }
    }
}

fn field<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    row.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn holds(value: Option<&Value>, operator: &str, wanted: &str) -> bool {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    match operator {
        "eq" => text == wanted,
        "ne" => text != wanted,
        "contains" => text.contains(wanted),
        "startswith" => text.starts_with(wanted),
        "endswith" => text.ends_with(wanted),
        _ => true,
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.to_lowercase().cmp(&b.to_lowercase()),
        (a, b) => a.map(Value::to_string).cmp(&b.map(Value::to_string)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::{HeaderMap, Method};

    use super::*;

    fn call(query: &str) -> Call {
        let uri = format!("/x?{query}").parse().unwrap();
        Call::new(Method::GET, &uri, HeaderMap::new(), Vec::new().into())
    }

    #[test]
    fn sizes_are_clamped_in_silence() {
        let size = |query: &str| Page::of(&call(query), 25).unwrap().size;
        assert_eq!((size(""), size("pageSize=500"), size("pageSize=0")), (25, 100, 25));
    }

    #[test]
    fn the_millionth_row_is_the_last_that_may_be_skipped() {
        assert!(Page::of(&call("page=10001&pageSize=100"), 25).is_ok());
        let refused = Page::of(&call("page=10002&pageSize=100"), 25).unwrap_err();
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(text.contains("Page 10,002 is beyond") && text.contains("is 10,001)"), "{text}");
    }

    #[test]
    fn filters_are_case_sensitive_and_ignored_when_malformed() {
        let rows = || vec![json!({"name": "B"}), json!({"name": "a"})];
        let arranged = |query: &str| {
            let mut rows = rows();
            arrange(&call(query), &mut rows);
            rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(arranged("filter=name:eq:a"), "a");
        assert_eq!(arranged("filter=name:contains:A"), "");
        assert_eq!(arranged("filter=garbage"), "Ba");
        assert_eq!(arranged("sortBy=nonesuch"), "Ba");
        assert_eq!(arranged("sortBy=name"), "aB");
        assert_eq!(arranged("sortBy=Name&sortDirection=DESC"), "Ba");
    }
}
