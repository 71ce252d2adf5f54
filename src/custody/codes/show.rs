//! Files shown as QR codes: on the terminal, one after another, or as pictures.

use std::io::stderr;
use std::path::{Path, PathBuf};

use crate::codes::frames::{self, NamedFile};
use crate::codes::qr::Code;
use record::{Error, Result, folder};
use terminal::answer::Question;
use terminal::report::Report;
use terminal::texts::Texts;
use terminal::{Asker, Decision, Paper, ended, face};

/// The greatest size of a file that is shown, in bytes; what frames can carry is less.
const MAX_FILE: u64 = 1 << 20;

/// The files of these paths, under the names by which they cross: a folder's as `<folder>/<file>`,
/// a single file by its own.
///
/// # Errors
/// What reading can end with.
pub fn named(paths: &[PathBuf]) -> Result<Vec<NamedFile>> {
    let mut files = Vec::new();
    for path in paths {
        let name = last(path)?;
        if !folder::is_folder(path)? {
            files.push((name, folder::read_file(path, MAX_FILE)?));
            continue;
        }
        for file in folder::names(path)? {
            let bytes = folder::read_file(&path.join(&file), MAX_FILE)?;
            files.push((format!("{name}/{file}"), bytes));
        }
    }
    Ok(files)
}

fn last(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Error::usage(
            format!("{} has no name that can be carried", path.display()),
            "name a document's folder, or a file",
        )
    })
}

/// What a code is of, for people: `offer, code 2 of 9`.
pub fn caption(what: &str, n: usize, of: usize) -> String {
    format!("{what}, code {} of {of}", n + 1)
}

/// Writes a picture of each code into a folder.
///
/// # Errors
/// `FRAME-FORMAT` for more than frames can carry; `FILE-EXISTS`.
pub fn pictures(files: &[NamedFile], what: &str, to: &Path) -> Result<Report> {
    let texts = frames::frames(files)?;
    folder::make_folder(to)?;
    for (n, text) in texts.iter().enumerate() {
        let name = format!("{what}-{:03}-of-{:03}.png", n + 1, texts.len());
        folder::write_new(&to.join(name), &Code::of(text)?.png()?)?;
    }
    Ok(Report::new("Every code is a picture; whoever has all of them has the files.")
        .value("pictures", texts.len())
        .value("folder", to.display().to_string()))
}

/// Shows the codes on the terminal; Enter shows the next.
///
/// # Errors
/// `FRAME-FORMAT`; as [`Asker::line`].
pub fn on_terminal(files: &[NamedFile], what: &str, light: bool, asker: &Asker) -> Result<Report> {
    let texts = frames::frames(files)?;
    let codes: Vec<String> =
        (texts.iter()).map(|text| Ok(Code::of(text)?.terminal(!light))).collect::<Result<_>>()?;
    codes.iter().try_for_each(|code| fits(code))?;
    for (n, code) in codes.iter().enumerate() {
        asker.say(&format!("{code}\n"));
        let question = format!("{}. Enter for the next: ", caption(what, n, texts.len()));
        let how = Texts::spoken().get("ask.go_on", &[]);
        if asker.decide(Question::GoOn, &question, &how, &mut Paper)? == Decision::No {
            return Err(ended("q"));
        }
    }
    Ok(Report::new("Every code was shown.").value("codes", texts.len()))
}

/// Whether the terminal has room for a code, with the question below it.
///
/// # Errors
/// [`Error::Usage`]: a code that is cut off is read by nothing.
fn fits(code: &str) -> Result<()> {
    let (columns, rows) = (face::columns(stderr()), face::rows(stderr()));
    let wide = code.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let high = code.lines().count() + 2;
    if columns.is_none_or(|columns| wide <= columns) && rows.is_none_or(|rows| high <= rows) {
        return Ok(());
    }
    let has = |size: Option<usize>| size.map_or("?".to_owned(), |size| size.to_string());
    Err(Error::usage(
        format!(
            "this terminal has {} columns and {} rows; the codes need {wide} and {high}",
            has(columns),
            has(rows)
        ),
        "make the window larger or its letters smaller, or write pictures with --to FOLDER; a smaller file, by itself, has smaller codes",
    ))
}

/// What several paths are called together.
pub fn title(files: &[NamedFile]) -> String {
    let first = files.first().map_or("", |(name, _)| name.as_str());
    let folder = first.split_once('/').map(|(folder, _)| folder);
    folder.unwrap_or(first).to_owned()
}
