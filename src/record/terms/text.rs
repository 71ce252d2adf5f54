//! Several things in one line.

use std::fmt::Display;

/// What was found, and what was expected in its place.
pub type Mismatch = (String, String);

/// Whether something is as it must be.
pub type Fits = Result<(), Mismatch>;

/// It is not as it must be.
///
/// # Errors
/// Always: what was found and what was expected.
pub fn differs(found: impl Into<String>, expected: impl Into<String>) -> Fits {
    Err((found.into(), expected.into()))
}

/// Whether something holds.
///
/// # Errors
/// What was found and what was expected.
pub fn ensure(holds: bool, found: impl Into<String>, expected: impl Into<String>) -> Fits {
    if holds { Ok(()) } else { differs(found, expected) }
}

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
