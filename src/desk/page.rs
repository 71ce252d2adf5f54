//! Pages for the printer: self-contained HTML from `templates/paper/`, for A4 and Letter, without
//! scripts and without a network.

use clap::Args;
use minijinja::value::Kwargs;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use custody::codes::frames::{self, NamedFile};
use custody::codes::lines;
use custody::codes::qr::Code;
use record::encoding::Hash;
use record::{Error, Result, fingerprint};
use terminal::texts::Texts;

/// The templates: reviewed once, compiled in.
const TEMPLATES: [(&str, &str); 9] = [
    ("base.html", include_str!("../../templates/paper/base.html")),
    ("parts.html", include_str!("../../templates/paper/parts.html")),
    ("script.html", include_str!("../../templates/paper/script.html")),
    ("share.html", include_str!("../../templates/paper/share.html")),
    ("identity.html", include_str!("../../templates/paper/identity.html")),
    ("label.html", include_str!("../../templates/paper/label.html")),
    ("offer.html", include_str!("../../templates/paper/offer.html")),
    ("codes.html", include_str!("../../templates/paper/codes.html")),
    ("transcript.html", include_str!("../../templates/paper/transcript.html")),
];

/// The size of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Paper {
    /// 210 mm by 297 mm (ISO 216).
    A4,
    /// 8.5 inches by 11.
    #[serde(rename = "letter")]
    Letter,
}

impl std::str::FromStr for Paper {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "a4" => Ok(Paper::A4),
            "letter" => Ok(Paper::Letter),
            _ => Err("expected a4 or letter".into()),
        }
    }
}

/// Options of every command that makes a page.
#[derive(Debug, Clone, Copy, Args)]
pub struct PageOptions {
    /// The paper: a4 or letter
    #[arg(long, global = true, value_name = "PAPER", default_value = "a4")]
    pub paper: Paper,
}

/// What stands on every page.
#[derive(Debug, Clone, Serialize)]
pub struct Sheet {
    /// The language's code.
    pub language: &'static str,
    /// The paper.
    pub paper: Paper,
    /// Whether REHEARSAL stands across every page.
    pub rehearsal: bool,
    /// The ceremony's id, or what stands for it.
    pub ceremony: String,
    /// Rehearsal or production; empty where it is not known.
    pub mode: String,
    /// Whose page it is; empty where it is no side's.
    pub side: String,
    /// The plan's SHA-256; empty where there is none.
    pub plan: String,
    /// When, by this machine's clock.
    pub printed: String,
    /// Which copy, in words.
    pub copy: String,
}

/// Fills in a template. Everything that is filled in is escaped for HTML, but the codes, which are
/// made here.
///
/// # Errors
/// [`Error::Failed`] where the template asks for what is not there.
pub fn page(
    name: &str,
    title: &str,
    sheet: &Sheet,
    texts: &Texts,
    mut body: Value,
) -> Result<String> {
    let failed = |error: minijinja::Error| Error::defect(format!("the page {name}: {error:#}"));
    let mut press = Environment::new();
    press.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        press.add_template(name, source).map_err(failed)?;
    }
    let texts = texts.clone();
    press.add_function("t", move |key: String, values: Kwargs| {
        let names: Vec<String> = values.args().map(str::to_owned).collect();
        let given: std::result::Result<Vec<String>, _> =
            names.iter().map(|name| values.get(name)).collect();
        let given = given?;
        let pairs: Vec<(&str, &str)> =
            names.iter().zip(&given).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok::<_, minijinja::Error>(texts.get(&key, &pairs))
    });
    if let Some(body) = body.as_object_mut() {
        body.insert("title".into(), title.into());
        body.insert("footer".into(), footer(title, sheet).into());
        body.insert("sheet".into(), serde_json::to_value(sheet).map_err(Error::encoding)?);
    }
    let template = press.get_template(name).map_err(failed)?;
    Ok(typed(&template.render(minijinja::value::Serde(&body)).map_err(failed)?))
}

/// What stands between backticks is typed: on paper it is in the type of commands.
fn typed(page: &str) -> String {
    let (mut all, mut rest) = (String::new(), page);
    while let Some((before, after)) = rest.split_once('`') {
        all += before;
        let inside = after.split_once('`').filter(|(inside, _)| !inside.contains(['<', '\n']));
        if let Some((inside, after)) = inside {
            all += &format!("<span class=\"mono\">{inside}</span>");
            rest = after;
        } else {
            all.push('`');
            rest = after;
        }
    }
    all + rest
}

/// What stands at the foot of every page: inside a style sheet, so of characters that mean nothing
/// there.
fn footer(title: &str, sheet: &Sheet) -> String {
    let parts = [sheet.ceremony.as_str(), title, &sheet.copy];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let harmless = |c: char| c.is_alphanumeric() || " -.,:\u{b7}\u{2019}".contains(c);
    let said = parts.join(" \u{b7} ").replace('\'', "\u{2019}");
    said.chars().filter(|c| harmless(*c)).collect()
}

/// Files as codes with their captions, for a template.
///
/// # Errors
/// `FRAME-FORMAT` for more than frames can carry.
pub fn codes(files: &[NamedFile], what: &str, texts: &Texts) -> Result<Value> {
    let frames = frames::frames(files)?;
    let of = frames.len().to_string();
    let one = |(n, frame): (usize, &String)| {
        let n = (n + 1).to_string();
        let values = [("what", what), ("n", n.as_str()), ("m", of.as_str())];
        let caption = texts.get("page.code_of", &values);
        Ok(serde_json::json!({ "svg": Code::of(frame)?.svg(), "caption": caption }))
    };
    frames.iter().enumerate().map(one).collect()
}

/// Bytes as lines to type, for a template. What is printed so is no secret in the clear.
///
/// # Errors
/// `LINE-FORMAT` for too many bytes.
pub fn lines_of(bytes: &[u8]) -> Result<Value> {
    let lines = lines::lines(bytes)?;
    Ok(lines.iter().map(|line| Value::from(line.as_str())).collect())
}

/// A hash in words, for a template.
pub fn words_of(hash: &Hash, count: usize) -> Value {
    let words = fingerprint::words(&hash.0);
    words.into_iter().take(count).map(Value::from).collect()
}
