//! Lists: paging, filtering, sorting, columns.
//!
//! Items are rendered as late as possible: a page of 100,000 queues in their own order renders the page only.

use std::cmp::Ordering;

use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    path::Query,
};

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;
const REGEX_LENGTH_MAX: usize = 1024;
const REGEX_SIZE_MAX: usize = 1 << 20;

/// A list that can be asked for in pages.
pub struct Listing<'a, T, Key, Render> {
    items: Vec<T>,
    key: Key,
    render: Render,
    number: Option<Number<'a, T>>,
}

/// The number at a field of an item, found without rendering it.
type Number<'a, T> = Box<dyn Fn(&T, &str) -> Option<f64> + 'a>;

/// Which page is wanted.
pub struct Page {
    /// From one on.
    pub number: usize,
    pub size: usize,
}

impl Page {
    pub const FIRST: Page = Page { number: 1, size: PAGE_SIZE };

    /// `None` when all is wanted.
    pub fn of(query: &Query) -> Result<Option<Page>, Refusal> {
        let Some(number) = query.get("page") else { return Ok(None) };
        let invalid = || Refusal::page("bad_request", "Pagination parameters are invalid");
        let number: usize = number.parse().map_err(|_| invalid())?;
        let size = query.get("page_size").map_or(Ok(PAGE_SIZE), str::parse).map_err(|_| invalid())?;
        if number == 0 || size == 0 || PAGE_SIZE_MAX < size {
            return Err(invalid());
        }
        Ok(Some(Page { number, size }))
    }

    /// The places of its items in a list; the first page is always there.
    fn within(&self, length: usize) -> Result<std::ops::Range<usize>, Refusal> {
        let from = (self.number - 1).saturating_mul(self.size);
        if length <= from && self.number != 1 {
            let reason =
                format!("page_out_of_range: page: {} page size: {} len: {length}", self.number, self.size);
            return Err(Refusal::page("page_out_of_range", reason));
        }
        Ok(from.min(length)..from.saturating_add(self.size).min(length))
    }

    fn answer(&self, total: usize, filtered: usize, items: Vec<Value>) -> Answer {
        Answer::json(&json!({
            "total_count": total,
            "filtered_count": filtered,
            "item_count": items.len(),
            "page": self.number,
            "page_size": self.size,
            "page_count": filtered.div_ceil(self.size).max(1),
            "items": items,
        }))
    }
}

/// A page in the usual order: whoever can choose its items without making a list of all does so.
pub struct Wanted {
    page: Page,
    filter: Filter,
    pub reverse: bool,
}

impl Wanted {
    /// `None` when all is wanted, or another order.
    pub fn of(query: &Query) -> Result<Option<Wanted>, Refusal> {
        if query.get("sort").is_some_and(|sort| !sort.is_empty()) {
            return Ok(None);
        }
        let Some(page) = Page::of(query)? else { return Ok(None) };
        Ok(Some(Wanted { page, filter: Filter::of(query)?, reverse: query.is_true("sort_reverse") }))
    }

    pub fn passes(&self, name: &str) -> bool {
        self.filter.passes(name)
    }

    /// The places of its items among those that pass.
    pub fn range(&self) -> std::ops::Range<usize> {
        let from = (self.page.number - 1).saturating_mul(self.page.size);
        from..from.saturating_add(self.page.size)
    }

    /// The page: how many items there are, how many of them pass, and those that were chosen.
    pub fn answer(
        &self,
        (total, filtered): (usize, usize),
        items: impl Iterator<Item = Value>,
        query: &Query,
    ) -> Result<Answer, Refusal> {
        self.page.within(filtered)?;
        let columns = Columns::of(query);
        let items = items.map(|item| columns.of_value(item)).collect();
        Ok(self.page.answer(total, filtered, items))
    }
}

/// What names must be like.
enum Filter {
    All,
    Contains(String),
    Matches(Box<regex::Regex>),
}

impl Filter {
    fn of(query: &Query) -> Result<Filter, Refusal> {
        let Some(name) = query.get("name").filter(|name| !name.is_empty()) else { return Ok(Filter::All) };
        if !query.is_true("use_regex") {
            return Ok(Filter::Contains(name.to_lowercase()));
        }
        let invalid = || Refusal::bad_request("Pagination parameters are invalid");
        if REGEX_LENGTH_MAX < name.len() {
            return Err(invalid());
        }
        let regex = RegexBuilder::new(name).case_insensitive(true).size_limit(REGEX_SIZE_MAX).build();
        Ok(Filter::Matches(Box::new(regex.map_err(|_| invalid())?)))
    }

    fn passes(&self, name: &str) -> bool {
        match self {
            Filter::All => true,
            Filter::Contains(part) => name.to_lowercase().contains(part),
            Filter::Matches(regex) => regex.is_match(name),
        }
    }
}

impl<'a, T, Key, Render> Listing<'a, T, Key, Render>
where
    Key: Fn(&T) -> (&str, &str),
    Render: Fn(&T) -> Value,
{
    /// `key` is vhost and name: the list is in the order of both, and filtered by the name.
    pub fn new(items: Vec<T>, key: Key, render: Render) -> Self {
        Listing { items, key, render, number: None }
    }

    /// Sorts by fields that `number` knows without rendering every item.
    pub fn sorted_by(mut self, number: impl Fn(&T, &str) -> Option<f64> + 'a) -> Self {
        self.number = Some(Box::new(number));
        self
    }

    /// Puts the items of a range of the list that is sorted by a number in their places; false when there is no
    /// such number.
    fn sort_by_number(&mut self, field: &str, reverse: bool) -> bool {
        let Some(number) = &self.number else { return false };
        let numbers: Option<Vec<f64>> = self.items.iter().map(|item| number(item, field)).collect();
        let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else { return false };
        let mut places: Vec<(f64, T)> = numbers.into_iter().zip(self.items.drain(..)).collect();
        let key = &self.key;
        places.sort_unstable_by(|(one, first), (other, second)| {
            let order = if reverse { other.total_cmp(one) } else { one.total_cmp(other) };
            order.then_with(|| key(first).cmp(&key(second)))
        });
        self.items = places.into_iter().map(|(_, item)| item).collect();
        true
    }

    /// The list, or the page of it that is asked for.
    pub fn answer(mut self, query: &Query) -> Result<Answer, Refusal> {
        let page = Page::of(query)?;
        let columns = Columns::of(query);
        let total = self.items.len();
        if page.is_some() {
            let (filter, key) = (Filter::of(query)?, &self.key);
            self.items.retain(|item| filter.passes(key(item).1));
        }
        let filtered = self.items.len();
        let range = match &page {
            None => 0..filtered,
            Some(page) => page.within(filtered)?,
        };
        let reverse = query.is_true("sort_reverse");
        let items: Vec<Value> = match query.get("sort").filter(|sort| !sort.is_empty()) {
            Some(sort) if self.sort_by_number(sort, reverse) => {
                let chosen = self.items.get(range.clone()).unwrap_or_default();
                chosen.iter().map(|item| columns.of_value((self.render)(item))).collect()
            }
            Some(sort) => {
                let mut values: Vec<Value> = self.items.iter().map(&self.render).collect();
                sort_by_field(&mut values, sort, reverse);
                values.drain(range.clone()).map(|value| columns.of_value(value)).collect()
            }
            None => {
                let key = &self.key;
                let order = |one: &T, other: &T| {
                    let order = key(one).cmp(&key(other));
                    if reverse { order.reverse() } else { order }
                };
                let chosen = choose(&mut self.items, range.clone(), order);
                chosen.iter().map(|item| columns.of_value((self.render)(item))).collect()
            }
        };
        let Some(page) = page else { return Ok(Answer::json(&Value::Array(items))) };
        Ok(page.answer(total, filtered, items))
    }
}

/// The items of a range of the sorted list, without sorting the rest of it.
fn choose<T>(items: &mut [T], range: std::ops::Range<usize>, order: impl Fn(&T, &T) -> Ordering) -> &[T] {
    let rest = match range.start {
        0 => items,
        start if start < items.len() => {
            items.select_nth_unstable_by(start, &order);
            items.get_mut(start..).unwrap_or_default()
        }
        _ => return &[],
    };
    let length = range.len();
    if length != 0 && length < rest.len() {
        rest.select_nth_unstable_by(length - 1, &order);
    }
    let chosen = rest.get_mut(..length).unwrap_or_default();
    chosen.sort_unstable_by(&order);
    chosen
}

fn sort_by_field(values: &mut [Value], field: &str, reverse: bool) {
    let path: Vec<&str> = field.split('.').collect();
    values.sort_by(|one, other| {
        let order = compare(find(one, &path), find(other, &path));
        if reverse { order.reverse() } else { order }
    });
}

fn find<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    static ZERO: Value = Value::Null;
    path.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&ZERO)
}

/// Numbers before strings; what is missing is zero.
fn compare(one: &Value, other: &Value) -> Ordering {
    let number = |value: &Value| match value {
        Value::Null => Some(0.0),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => match (one, other) {
            (Value::String(one), Value::String(other)) => one.cmp(other),
            _ => Ordering::Equal,
        },
    }
}

/// Which fields are wanted.
#[derive(Debug)]
pub struct Columns(Vec<Vec<String>>);

impl Columns {
    pub fn of(query: &Query) -> Columns {
        let columns = query.get("columns").unwrap_or_default();
        let path = |column: &str| column.trim().split('.').map(str::to_owned).collect();
        Columns(columns.split(',').filter(|column| !column.is_empty()).map(path).collect())
    }

    /// The fields of an object; those that it lacks are left out.
    pub fn of_value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        let mut chosen = Map::new();
        for path in &self.0 {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            if let Some(found) = names.iter().try_fold(&value, |value, name| value.get(name)) {
                put(&mut chosen, &names, found.clone());
            }
        }
        Value::Object(chosen)
    }
}

fn put(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
        return;
    }
    let inner = object.entry(*first).or_insert_with(|| json!({}));
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

/// A list that RabbitMQ does not give in pages.
pub fn plain(mut values: Vec<Value>, query: &Query) -> Answer {
    if let Some(sort) = query.get("sort").filter(|sort| !sort.is_empty()) {
        sort_by_field(&mut values, sort, query.is_true("sort_reverse"));
    }
    let columns = Columns::of(query);
    Answer::json(&values.into_iter().map(|value| columns.of_value(value)).collect())
}

/// One object.
pub fn single(value: Value, query: &Query) -> Answer {
    Answer::json(&Columns::of(query).of_value(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &str) -> Result<Value, Refusal> {
        let items: Vec<(String, u32)> = (0..25).rev().map(|n| (format!("Q{n:02}"), n % 7)).collect();
        let listing = Listing::new(
            items,
            |item: &(String, u32)| ("/", item.0.as_str()),
            |item: &(String, u32)| json!({ "name": item.0, "n": { "mod": item.1 } }),
        );
        let answer = listing.answer(&Query::parse(query))?;
        Ok(serde_json::from_slice(&answer.body.unwrap()).unwrap())
    }

    fn names(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn without_a_page_everything_comes_in_order_and_unfiltered() {
        let all = list("name=Q01").unwrap();
        assert_eq!((names(&all).len(), names(&all)[0], names(&all)[24]), (25, "Q00", "Q24"));
    }

    #[test]
    fn pages_are_cut_from_the_filtered_list() {
        let page = list("page=2&page_size=4&name=q1").unwrap();
        assert_eq!(names(&page["items"]), ["Q14", "Q15", "Q16", "Q17"]);
        assert_eq!((&page["total_count"], &page["filtered_count"]), (&json!(25), &json!(10)));
        assert_eq!((&page["page_count"], &page["item_count"]), (&json!(3), &json!(4)));
        let last = list("page=3&page_size=4&name=q1").unwrap();
        assert_eq!(names(&last["items"]), ["Q18", "Q19"]);
        let regex = list("page=1&use_regex=true&name=^q(00|24)$").unwrap();
        assert_eq!(names(&regex["items"]), ["Q00", "Q24"]);
        let reverse = list("page=1&page_size=2&sort_reverse=true").unwrap();
        assert_eq!(names(&reverse["items"]), ["Q24", "Q23"]);
    }

    #[test]
    fn pages_that_cannot_be_are_refused() {
        for query in ["page=0", "page=x", "page=1&page_size=501", "page=1&page_size=0", "page=9"] {
            assert!(list(query).is_err(), "{query}");
        }
        assert!(list("page=1&use_regex=true&name=(").is_err());
        let long = format!("page=1&use_regex=true&name={}", "a".repeat(1025));
        assert!(list(&long).is_err());
        assert_eq!(list("page=1&name=none").unwrap()["page_count"], 1);
    }

    #[test]
    fn sorting_by_a_known_number_renders_the_page_only() {
        let rendered = std::cell::Cell::new(0);
        let listing = Listing::new(
            (0..25).collect(),
            |_: &u32| ("/", "name"),
            |item: &u32| {
                rendered.set(rendered.get() + 1);
                json!({ "n": item })
            },
        );
        let listing = listing.sorted_by(|item, field| (field == "n").then(|| f64::from(*item)));
        let query = Query::parse("sort=n&sort_reverse=true&page=2&page_size=3");
        let answer: Value = serde_json::from_slice(&listing.answer(&query).unwrap().body.unwrap()).unwrap();
        assert_eq!(answer["items"], json!([{ "n": 21 }, { "n": 20 }, { "n": 19 }]));
        assert_eq!(rendered.get(), 3);
    }

    #[test]
    fn sorting_and_columns_follow_dots() {
        let sorted = list("sort=n.mod&sort_reverse=true&page=1&page_size=1&columns=n.mod").unwrap();
        assert_eq!(sorted["items"], json!([{ "n": { "mod": 6 } }]));
        assert_eq!(list("columns=missing.path").unwrap()[0], json!({}));
    }

    #[test]
    fn numbers_come_before_strings() {
        assert_eq!(compare(&json!(5), &json!("1")), Ordering::Less);
        assert_eq!(compare(&Value::Null, &json!(-1)), Ordering::Greater);
    }
}
