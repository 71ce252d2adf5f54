//! `share confirm` and `share reissue`: nobody leaves before it is shown that they hold the right
//! share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::side::release;
use crate::step::{WordsHint, words_heard};
use crate::{Ceremony, Means, Run};
use record::document::package::Package;
use record::escape::{escape, quote};
use record::layout::SHARES;
use record::log::Event;
use record::rule::Rule;
use record::share::{CODE_WORDS, MAX_SHARE_FILE, ShareListing};
use record::terms::{Id, Step};
use record::{Result, folder};
use terminal::report::Report;

/// Take the words that a custodian's own program shows
#[derive(Args)]
pub struct ShareConfirm {
    /// The custodian's id
    custodian: String,
    /// It is the custodian's deputy who confirms
    #[arg(long)]
    deputy: bool,
    /// In a rehearsal: the file that holds the words
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
}

impl Run for ShareConfirm {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let prompt = words_prompt(ceremony, &self.custodian)?;
        let (mode, words) = (ceremony.plan.mode, self.words.as_deref());
        let expected = WordsHint::Count(CODE_WORDS);
        let typed = words_heard(mode, means.asker, words, &prompt, expected)?;
        confirm(ceremony, &self.custodian, &typed, self.deputy)
    }
}

/// Write a custodian's share file again
#[derive(Args)]
pub struct ShareReissue {
    /// The custodian's id
    custodian: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Run for ShareReissue {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        reissue(ceremony, &self.custodian, &self.to)
    }
}

/// What to say before the words are typed, once it is time for them.
fn words_prompt(ceremony: &Ceremony, custodian: &str) -> Result<String> {
    ceremony.state.require(Step::ShareConfirm)?;
    let (id, _) = listing_of(ceremony, custodian)?;
    Ok(format!("The words that {id}'s own program shows: "))
}

/// Takes the words that a custodian's own program showed, to them or to their deputy.
fn confirm(ceremony: &mut Ceremony, custodian: &str, typed: &str, deputy: bool) -> Result<Report> {
    ceremony.state.require(Step::ShareConfirm)?;
    let (id, listing) = listing_of(ceremony, custodian)?;
    let package = ceremony.sent::<Package>()?;
    listing.confirm(&package.body().package_id, typed)?;
    let planned = ceremony.plan.quorum.custodians.iter();
    let has_deputy = planned.filter(|one| one.id == id).any(|one| one.recipients.len() > 1);
    if deputy && !has_deputy {
        return Err(Rule::ShareCustodian.refuse(
            format!("a deputy of {id}"),
            "a custodian for whom the plan names a second recipient, the deputy's",
            "let the custodian confirm",
        ));
    }
    ceremony.record(Event::ShareConfirm { custodian: id.clone(), deputy })?;
    let left = release::unconfirmed(ceremony).len();
    let who = if deputy { "the deputy of " } else { "" };
    Ok(Report::new(format!("{who}{id} holds the right share.")).value("unconfirmed", left))
}

/// Writes the same share file again, for a custodian whose medium failed.
fn reissue(ceremony: &mut Ceremony, custodian: &str, to: &Path) -> Result<Report> {
    ceremony.state.require(Step::ShareReissue)?;
    let (id, listing) = listing_of(ceremony, custodian)?;
    let path = ceremony.outbox(SHARES).join(format!("{id}.age"));
    let bytes = folder::read_file(&path, MAX_SHARE_FILE)?;
    listing.dealt(&bytes, &path)?;
    // A killed run may have written it already; any other file of this name is somebody else's.
    if !to.exists() || folder::read_file(to, MAX_SHARE_FILE)? != bytes {
        folder::write_new(to, &bytes)?;
    }
    ceremony.record(Event::ShareReissue { custodian: id.clone(), file: listing.file })?;
    Ok(Report::new(format!("The share file of {id} is written again; it is the same file."))
        .value("file", to.display().to_string())
        .value("sha256", listing.file.to_string()))
}

fn listing_of(ceremony: &Ceremony, custodian: &str) -> Result<(Id, ShareListing)> {
    let package = ceremony.sent::<Package>()?;
    let planned =
        ceremony.plan.quorum.custodians.iter().find(|planned| planned.id.as_str() == custodian);
    let listing = package.body().shares.iter().find(|listing| listing.custodian == custodian);
    match (planned, listing) {
        (Some(planned), Some(listing)) => Ok((planned.id.clone(), listing.clone())),
        _ => {
            let known: Vec<&str> =
                ceremony.plan.quorum.custodians.iter().map(|planned| planned.id.as_str()).collect();
            Err(Rule::ShareCustodian.refuse(
                quote(&escape(custodian)),
                known.join(", "),
                "give the custodian's id, as the plan has it",
            ))
        }
    }
}
