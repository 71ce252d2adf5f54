//! Every field of every event, as docs/formats.md has them, and which of them it calls a claim.
#![allow(dead_code)] // Each test program uses its part.

use std::sync::LazyLock;

/// A row of the table of events.
#[derive(Clone, Copy)]
pub struct Field {
    pub event: &'static str,
    pub name: &'static str,
    /// Whether nothing on record determines it.
    pub claim: bool,
}

/// The rows of the table, in its order.
pub static TABLE: LazyLock<Vec<Field>> = LazyLock::new(read);

fn read() -> Vec<Field> {
    let page = include_str!("../../docs/formats.md");
    let (_, below) =
        page.split_once("| event | field | where it comes from |\n|---|---|---|\n").unwrap();
    let rows = below.lines().take_while(|line| line.starts_with("| `"));
    let quoted = |cell: &'static str| {
        cell.strip_prefix('`').and_then(|cell| cell.split_once('`')).unwrap().0
    };
    let all: Vec<Field> = rows
        .map(|row| {
            let cells = row.strip_prefix("| ").unwrap().split_once(" | ").unwrap();
            let (_, source) = cells.1.rsplit_once(" | ").unwrap();
            let claim = source.starts_with("**claim**: ");
            assert!(claim || source.starts_with("derived: "), "{row}");
            Field { event: quoted(cells.0), name: quoted(cells.1), claim }
        })
        .collect();
    assert!(all.len() > 100, "{}", all.len());
    all
}

/// Whether the page calls a field of an event a claim; nothing where it has no such field.
pub fn is_claim(event: &str, field: &str) -> Option<bool> {
    TABLE.iter().find(|row| (row.event, row.name) == (event, field)).map(|row| row.claim)
}
