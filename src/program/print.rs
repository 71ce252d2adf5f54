//! `print`: pages from what this side has, each copy numbered in the record. Nothing secret is
//! printed in the clear.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::transcript::transcript;
use ceremony::Ceremony;
use custody::codes::frames::NamedFile;
use custody::codes::qr::Code;
use custody::codes::show;
use custody::custodian::without_armour;
use desk::page::{self, PageOptions, Paper, Sheet};
use record::document::offer::Offer;
use record::document::package::Package;
use record::fingerprint::WORDS_TYPED;
use record::layout::{PAPER, SHARES};
use record::log;
use record::share::MAX_SHARE_FILE;
use record::{
    Error, Event, Hash, Id, Kind, LOG_FILE, Mode, PLAN_FILE, Phase, Program, Remark, Result, Rule,
    Side, escape, folder,
};
use terminal::guide;
use terminal::report::Report;
use terminal::texts::Texts;

/// Which page.
#[derive(Debug, Clone, Subcommand)]
pub enum Page {
    /// The script of this side: its numbered steps, from the plan
    Script,
    /// The hoster's offer, its words large
    Offer,
    /// A custodian's share file, encrypted as it was dealt: codes, and lines to type
    Share {
        /// Whose
        custodian: Id,
    },
    /// A document of this side, as QR codes
    Document {
        /// Which: offer, package, ...
        kind: Kind,
    },
    /// A label for a bag, a medium or an envelope: 16 words, a code, and the date
    #[command(subcommand)]
    Label(Label),
    /// What happened, for everybody to sign, once the ceremony is closed
    Transcript,
}

/// What a label is for.
#[derive(Debug, Clone, Subcommand)]
pub enum Label {
    /// For a tamper-evident bag: the code is its number, for `note bag-out` and `note bag-in`
    Bag {
        /// What is in it; the same words as in `note`
        item: String,
        /// The number printed on the bag
        number: String,
    },
    /// For a medium with a document of this side
    Medium {
        /// Which: offer, package, ...
        kind: Kind,
    },
    /// For the envelope with a custodian's share
    Envelope {
        /// Whose
        custodian: Id,
    },
}

impl Page {
    /// What the record calls it.
    fn name(&self) -> String {
        match self {
            Page::Script => "script".into(),
            Page::Offer => "offer".into(),
            Page::Share { custodian } => format!("share-{custodian}"),
            Page::Document { kind } => format!("document-{kind}"),
            Page::Transcript => "transcript".into(),
            Page::Label(Label::Bag { .. }) => "label-bag".into(),
            Page::Label(Label::Medium { kind }) => format!("label-medium-{kind}"),
            Page::Label(Label::Envelope { custodian }) => format!("label-envelope-{custodian}"),
        }
    }
}

/// Makes a page for the printer. Each copy has its number, which the record knows; what is printed
/// after `close` says that it is not on record.
///
/// # Errors
/// `PHASE-ORDER` for a transcript before `close`; what reading a document can end with;
/// `SHARE-CUSTODIAN`, `SHARE-FILE`.
pub fn print(ceremony: &mut Ceremony, page: &Page, look: PageOptions) -> Result<Report> {
    let texts = Texts::spoken();
    let closed = ceremony.state.phase == Phase::Closed;
    let name = page.name();
    let (path, copy) = place(ceremony, &name);
    let (template, title, body) = match page {
        Page::Script => script(ceremony, &texts),
        Page::Offer => offer(ceremony, &texts)?,
        Page::Share { .. } if closed => {
            return Err(Rule::PhaseOrder.refuse(
                "a share sheet after close, which no record would count",
                "share sheets before the ceremony is closed on this side",
                "the share serves for nothing more: destroy its copies, and note it on the paper record",
            ));
        }
        Page::Share { custodian } => share(ceremony, custodian, &texts)?,
        Page::Document { kind } => document(ceremony, *kind, &texts)?,
        Page::Label(label) => label_page(ceremony, label, &texts)?,
        Page::Transcript if closed => transcript(ceremony, &texts)?,
        Page::Transcript => {
            return Err(Rule::PhaseOrder.refuse(
                "a transcript before close",
                "a ceremony that is closed on this side",
                format!(
                    "close it first; `{}` explains a log at any time",
                    Program::Audit.line("show FILE").with("FILE", ceremony.dir.join(LOG_FILE))
                ),
            ));
        }
    };
    let said = match closed {
        true => texts.get("page.after", &[]),
        false => texts.get("page.copy", &[("n", &copy.to_string())]),
    };
    let sheet = sheet(ceremony, look.paper, said.clone(), &texts)?;
    let html = page::page(template, &title, &sheet, &texts, body)?;
    folder::make_folder(&ceremony.dir.join(PAPER))?;
    // Recorded first: a kill between the two leaves a number without a page, and the next copy has
    // the next number. The other way round the page would stand in the next copy's way for ever.
    if !closed {
        ceremony.record(Event::Note { remark: Remark::Printed { page: name, copy } })?;
    }
    folder::write_new(&path, html.as_bytes())?;
    let report = Report::new("The page is made; print it from a browser that is not on a network.")
        .value("page", path.display().to_string());
    Ok(match closed {
        true => report.line(said),
        false => report.value("copy", copy),
    })
}

/// Where the next copy lies, and its number.
fn place(ceremony: &Ceremony, name: &str) -> (PathBuf, u32) {
    let folder = ceremony.dir.join(PAPER);
    let mut copy = ceremony.state.room.copies(name) + 1;
    let path = |copy: u32| folder.join(format!("{name}-{copy}.html"));
    // After close the record counts no more: the folder does.
    while ceremony.state.phase == Phase::Closed && path(copy).exists() {
        copy += 1;
    }
    (path(copy), copy)
}

fn sheet(ceremony: &Ceremony, paper: Paper, copy: String, texts: &Texts) -> Result<Sheet> {
    let plan = &ceremony.plan;
    Ok(Sheet {
        language: texts.language.name(),
        paper,
        rehearsal: plan.mode == Mode::Rehearsal,
        ceremony: plan.ceremony.to_string(),
        mode: texts.get(&format!("mode.{}", plan.mode), &[]),
        side: ceremony.state.side.to_string(),
        plan: plan.hash().to_string(),
        printed: log::now()?,
        copy,
    })
}

/// The officers of a side, the custodians, who come to both, and the witnesses.
pub fn people(ceremony: &Ceremony) -> Value {
    let (plan, side) = (&ceremony.plan, ceremony.state.side);
    let one = |id: &Id, name: &str, role: &str| json!({ "id": id.as_str(), "name": escape(name), "role": role });
    let officers = plan.party(side).officers.iter();
    let officers = officers.map(|person| one(&person.id, &person.name, "officer"));
    let custodians = plan.quorum.custodians.iter();
    let custodians = custodians.map(|person| one(&person.id, &person.name, "custodian"));
    let witnesses = plan.witnesses.iter();
    let witnesses = witnesses.map(|person| one(&person.id, &person.name, "witness"));
    officers.chain(custodians).chain(witnesses).collect()
}

/// A template, the title, and what the template is filled in with.
pub type PageContent = (&'static str, String, Value);

fn script(ceremony: &Ceremony, texts: &Texts) -> PageContent {
    let (plan, side) = (&ceremony.plan, ceremony.state.side);
    let step = |turn: &guide::Turn| {
        let said = |part: &str| turn.said(part, plan, texts);
        json!({
            "title": said("title"), "what": said("what"), "have": said("have"), "write": said("write"),
            "who": texts.get(&format!("who.{}", turn.row.who), &[]),
            "command": turn.command(plan).to_string(),
        })
    };
    let steps: Vec<Value> = guide::script(plan, side).iter().map(step).collect();
    let count = plan.quorum.custodians.len().to_string();
    let mut materials = vec!["machine", "hsm", "media", "paper", "plan"];
    if !plan.quorum.custodians.is_empty() {
        materials.push("custodians");
    }
    let material = |which: &&str| {
        let key = format!("page.script.material_{which}");
        texts.get(&key, &[("count", &count)])
    };
    let materials: Vec<String> = materials.iter().map(material).collect();
    let side = texts.get(&format!("side.{side}"), &[]);
    let body = json!({
        "steps": steps,
        "materials": materials,
        "people": people(ceremony),
        "plan_words": page::words_of(&plan.hash(), 32),
    });
    let title = texts.get("page.script.title", &[("side", &side)]);
    ("script.html", title, body)
}

/// The offer, on either side.
fn offer(ceremony: &Ceremony, texts: &Texts) -> Result<PageContent> {
    let (body, folder) = match ceremony.state.side {
        Side::Hoster => (ceremony.sent::<Offer>()?.body().clone(), ceremony.outbox("offer")),
        Side::Tenant => (ceremony.kept::<Offer>()?.body().clone(), ceremony.inbox("offer")),
    };
    let files = show::named(&[folder])?;
    let what = texts.get("kind.offer", &[]);
    let json = json!({
        "words_": page::words_of(&body.fingerprint, WORDS_TYPED),
        "fingerprint": body.fingerprint.to_string(),
        "mechanism": format!("{}, RSA-OAEP {}", body.mechanism.name(), body.oaep_hash.name()),
        "codes_": page::codes(&files, &what, texts)?,
    });
    Ok(("offer.html", texts.get("page.offer.title", &[]), json))
}

fn share(ceremony: &Ceremony, id: &Id, texts: &Texts) -> Result<PageContent> {
    let plan = &ceremony.plan;
    let package = ceremony.sent::<Package>()?;
    let planned = plan.quorum.require(id.as_str())?;
    let listing = package.body().share_of(id)?;
    let path = ceremony.outbox(SHARES).join(format!("{id}.age"));
    let bytes = folder::read_file(&path, MAX_SHARE_FILE)?;
    listing.dealt(&bytes, &path)?;
    let lines = page::lines_of(&without_armour(&bytes)?)?;
    let files: Vec<NamedFile> = vec![(format!("{id}.age"), bytes)];
    let (m, n) = (plan.quorum.threshold.to_string(), plan.quorum.custodians.len().to_string());
    let (x, ceremony_id) = (listing.x.to_string(), plan.ceremony.to_string());
    let custodian = escape(&planned.name);
    let hoster = escape(&plan.hoster.name);
    let values: [(&str, &str); 6] = [
        ("m", &m),
        ("n", &n),
        ("x", &x),
        ("ceremony", &ceremony_id),
        ("custodian", &custodian),
        ("hoster", &hoster),
    ];
    let said = |key: &str| texts.get(&format!("page.share.{key}"), &values);
    let what = texts.get("kind.share", &[]);
    let body = json!({
        "custodian": id.as_str(), "name": custodian, "hash": listing.file.to_string(),
        "recipients": planned.recipients,
        "number": said("number"), "lost": said("lost_text"), "bring": said("bring_text"),
        "envelope": said("envelope_text"),
        "codes_": page::codes(&files, &what, texts)?, "lines_": lines,
    });
    Ok(("share.html", said("title"), body))
}

fn document(ceremony: &Ceremony, kind: Kind, texts: &Texts) -> Result<PageContent> {
    let folder = ceremony.outbox(kind.name());
    if !folder::is_folder(&folder)? {
        return Err(not_made(kind));
    }
    let files = show::named(&[folder])?;
    let listed =
        |(name, bytes): &NamedFile| json!({ "name": name, "hash": Hash::of(bytes).to_string() });
    let what = texts.get(&format!("kind.{kind}"), &[]);
    let body = json!({
        "files": files.iter().map(listed).collect::<Vec<_>>(),
        "codes_": page::codes(&files, &what, texts)?,
    });
    let title = texts.get("page.codes.title", &[("what", &what)]);
    Ok(("codes.html", title, body))
}

/// A label, with the words and the code of what it is for: of the plan for a bag, else of a file.
fn label_page(ceremony: &Ceremony, label: &Label, texts: &Texts) -> Result<PageContent> {
    let plan = &ceremony.plan;
    let (which, what, about, of, hash) = match label {
        Label::Bag { item, number } => {
            ("bag", escape(item), escape(number), PLAN_FILE.to_owned(), plan.hash())
        }
        Label::Medium { kind } => {
            let made = ceremony.state.made.get(kind).ok_or_else(|| not_made(*kind))?;
            let name = texts.get(&format!("kind.{kind}"), &[]);
            ("medium", name, String::new(), kind.file(), made.hash)
        }
        Label::Envelope { custodian } => {
            let planned = plan.quorum.require(custodian.as_str())?;
            let package = ceremony.sent::<Package>()?;
            let file = package.body().share_of(custodian)?.file;
            let of = format!("{custodian}.age");
            ("envelope", escape(&planned.name), custodian.to_string(), of, file)
        }
    };
    let code = match label {
        Label::Bag { number, .. } => number.clone(),
        _ => hash.to_string(),
    };
    let body = json!({
        "which": which, "what": what, "about": about, "of": of,
        "words_": page::words_of(&hash, WORDS_TYPED),
        "code_": Code::of(&code)?.svg(),
    });
    Ok(("label.html", texts.get(&format!("page.label.{which}"), &[]), body))
}

fn not_made(kind: Kind) -> Error {
    let remedy = "print what is of a document of this side once it is made";
    Error::failed(format!("this side has made no {kind}"), remedy)
}
