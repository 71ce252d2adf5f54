//! Several things in one line.

use std::fmt::Display;

/// Several things in one line, as people read them.
pub fn list<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    all.join(", ")
}

/// The same, with a word for none.
pub fn list_or<T: Display>(none: &str, all: impl IntoIterator<Item = T>) -> String {
    let mut all = all.into_iter().peekable();
    match all.peek() {
        None => none.to_owned(),
        Some(_) => list(all),
    }
}
