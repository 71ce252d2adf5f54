//! Words that somebody hears and types.

use std::path::Path;

use record::{Error, Result, folder, plan::PLAN_FILE, terms::Mode};
use terminal::{Asker, words};

/// The greatest size of a file of words, in bytes.
const MAX_WORDS: u64 = 4096;

/// What is known beforehand of words that somebody hears.
pub enum WordsSource<'a> {
    /// All of them: a wrong one is said to be wrong at once.
    Known(&'a [&'a str]),
    /// How many there are.
    Unknown(usize),
}

/// Words that somebody heard and types; from a file in a rehearsal only.
///
/// # Errors
/// [`Error::Usage`] for a file in production, and as [`Asker::line`].
pub fn words_heard(
    mode: Mode,
    asker: &Asker,
    file: Option<&Path>,
    prompt: &str,
    heard: WordsSource,
) -> Result<String> {
    match (file, mode) {
        (None, _) => match heard {
            WordsSource::Known(right) => words::ask(asker, prompt, right.len(), Some(right)),
            WordsSource::Unknown(count) => words::ask(asker, prompt, count, None),
        },
        (Some(file), Mode::Rehearsal) => {
            Ok(String::from_utf8_lossy(&folder::read_file(file, MAX_WORDS)?).into_owned())
        }
        (Some(_), Mode::Production) => Err(Error::Usage {
            what: "--words in production".into(),
            remedy: format!(
                "type the words that are read aloud; only a rehearsal ({PLAN_FILE}: mode) takes a file"
            ),
        }),
    }
}
