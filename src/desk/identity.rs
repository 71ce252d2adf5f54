//! The sheet of a custodian who keeps the identity on paper only.

use clap::Args;
use serde_json::json;

use crate::page::{self, PageOptions, Sheet};
use custody::changed;
use custody::codes::frames::NamedFile;
use custody::custodian::{has_passphrase, is_recipient, without_armour};
use record::command::with_commands;
use record::encoding::Hash;
use record::escape::{escape, quote};
use record::rule::Rule;
use record::{Error, Result, log};
use terminal::texts::Texts;

/// Whose identity it is, as they say: the file, which is encrypted, does not tell.
#[derive(Debug, Clone, Args)]
pub struct Holder {
    /// The custodian's name, on the page; without it there is a line to write it on
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    /// The recipient that the identity opens for, age1…, on the page; else a line to write it on
    #[arg(long, value_name = "RECIPIENT", default_value = "", hide_default_value = true)]
    recipient: String,
    /// The ceremony's name, on the page
    #[arg(long, value_name = "TEXT", default_value = "")]
    ceremony: String,
    /// The identity serves a rehearsal
    #[arg(long)]
    rehearsal: bool,
}

/// The page of an identity file, which is encrypted with a passphrase.
///
/// # Errors
/// `IDENTITY-PASSPHRASE` for one in the clear; `SHARE-FORMAT`; [`Error::Usage`] for a recipient that
/// is none.
pub fn sheet(file: &[u8], holder: &Holder, look: PageOptions) -> Result<String> {
    // Whatever carried it: the sheet has it as it was made.
    let made = changed::as_made(file)?;
    let file = made.as_deref().unwrap_or(file);
    if !has_passphrase(file) {
        return Err(Rule::IdentityPassphrase.refuse(
            "an identity in the clear, or no identity",
            "one that is encrypted with a passphrase",
            with_commands(
                "make another with `{custodian identity new FILE}`, and give it a passphrase",
            ),
        ));
    }
    if !holder.recipient.is_empty() && !is_recipient(&holder.recipient) {
        return Err(Error::usage(
            format!("{} is no recipient", quote(&escape(&holder.recipient))),
            with_commands("give the line age1… that `{custodian identity new FILE}` showed, whole"),
        ));
    }
    let texts = Texts::spoken();
    let title = texts.get("page.identity.title", &[]);
    let files: Vec<NamedFile> = vec![("identity.age".into(), file.to_vec())];
    let body = json!({
        "name": escape(&holder.name), "recipient": escape(&holder.recipient),
        "hash": Hash::of(file).to_string(),
        "codes_": page::codes(&files, &title, &texts)?,
        "lines_": page::lines_of(&without_armour(file)?)?,
    });
    let sheet = Sheet {
        language: texts.language.name(),
        paper: look.paper,
        rehearsal: holder.rehearsal,
        ceremony: escape(&holder.ceremony),
        mode: String::new(),
        side: String::new(),
        plan: String::new(),
        printed: log::now()?,
        copy: String::new(),
    };
    page::page("identity.html", &title, &sheet, &texts, body)
}
