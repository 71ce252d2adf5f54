//! What people answer: each kind of question knows what goes on, what stops, what asks for an
//! explanation, in English and in German; what is none of these is never taken for one.

use std::path::{Path, PathBuf};

/// A kind of question. What is hidden, and free text, has no words of its own: there Ctrl-C and
/// Ctrl-D alone stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether to go on: Enter does.
    GoOn,
    /// Whether to do what nobody does by accident: Enter does not.
    Decide,
    /// Words that somebody hears: those of the lists, besides what stops.
    Words,
    /// A path.
    Path,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Nothing was typed, where that may mean something of its own.
    Nothing,
    /// It goes on.
    Yes,
    /// No; where only going on is asked about, it stops.
    No,
    /// It stops here.
    Stop,
    /// Somebody asks what is meant.
    Explain,
    /// Something is to go into the record first.
    Note,
    /// Anything else, as it was typed, without the space around it.
    Other(&'a str),
}

impl<'a> Answer<'a> {
    /// What was typed, at a question of this kind.
    pub fn to(question: Question, typed: &'a str) -> Self {
        let typed = typed.trim();
        let bare = typed.trim_end_matches(['.', '!', ',']).to_lowercase();
        let answer = match bare.as_str() {
            "" if typed.is_empty() => Answer::Nothing,
            "q" | "quit" | "stop" | "ende" => Answer::Stop,
            "no" | "nein" => Answer::No,
            "n" if question != Question::Words => Answer::No,
            "y" | "yes" | "j" | "ja" if question != Question::Words => Answer::Yes,
            "?" | "help" | "hilfe" => Answer::Explain,
            "note" | "notiz" => Answer::Note,
            _ => Answer::Other(typed),
        };
        match (question, answer) {
            (Question::GoOn, Answer::Nothing) => Answer::Yes,
            (Question::GoOn | Question::Words, Answer::No) => Answer::Stop,
            (_, answer) => answer,
        }
    }
}

/// A path as people type it, or as a file manager pastes it: in quotation marks, with `\ ` for a
/// space, from the home folder with `~`.
pub fn path(typed: &str) -> PathBuf {
    let typed = typed.trim();
    let quoted = ['\'', '"'].into_iter().find_map(|mark| {
        typed.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)).map(str::to_owned)
    });
    let plain = quoted.unwrap_or_else(|| typed.replace("\\ ", " "));
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    match (plain.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(plain),
    }
}

/// The file that a path means: itself, or the only one in that folder whose name fits.
pub fn file_at(path: &Path, fits: impl Fn(&str) -> bool) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let entries = std::fs::read_dir(path).ok()?.flatten();
    let fitting = |path: &PathBuf| {
        path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(&fits)
    };
    let mut files = entries.map(|entry| entry.path()).filter(fitting);
    files.next().filter(|_| files.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_knows_what_its_answers_mean() {
        use Answer::{Explain, No, Note, Nothing, Other, Stop, Yes};
        // What is typed; then what it means where it goes on, decides, takes words, takes a path.
        for (typed, meant) in [
            ("", [Yes, Nothing, Nothing, Nothing]),
            ("  ", [Yes, Nothing, Nothing, Nothing]),
            ("Yes", [Yes, Yes, Other("Yes"), Yes]),
            ("ja.", [Yes, Yes, Other("ja."), Yes]),
            ("y", [Yes, Yes, Other("y"), Yes]),
            ("n", [Stop, No, Other("n"), No]),
            ("no", [Stop, No, Stop, No]),
            ("Nein!", [Stop, No, Stop, No]),
            ("q", [Stop, Stop, Stop, Stop]),
            ("QUIT", [Stop, Stop, Stop, Stop]),
            (" stop ", [Stop, Stop, Stop, Stop]),
            ("ende", [Stop, Stop, Stop, Stop]),
            ("?", [Explain, Explain, Explain, Explain]),
            ("note", [Note, Note, Note, Note]),
            ("Notiz", [Note, Note, Note, Note]),
            ("quota", [Other("quota"), Other("quota"), Other("quota"), Other("quota")]),
            (".", [Other("."), Other("."), Other("."), Other(".")]),
            ("./q", [Other("./q"), Other("./q"), Other("./q"), Other("./q")]),
        ] {
            let kinds = [Question::GoOn, Question::Decide, Question::Words, Question::Path];
            for (question, meant) in kinds.into_iter().zip(meant) {
                assert_eq!(Answer::to(question, typed), meant, "{typed:?} at {question:?}");
            }
        }
    }

    #[test]
    fn paths_are_taken_as_people_type_them() {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        for (typed, meant) in [
            ("'/a b/c'", "/a b/c".into()),
            ("\"/a b\" ", "/a b".into()),
            ("/a\\ b", "/a b".into()),
            ("~", home.clone()),
            ("~/medium", home.join("medium")),
            ("~other/x", "~other/x".into()),
            ("it's", "it's".into()),
        ] {
            assert_eq!(path(typed), meant, "{typed}");
        }
    }
}
